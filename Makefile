# ehring: one Makefile, not recursive but for the sanitizer runs of `make test`.
#
#   make              all programs and libraries into $(BUILD)
#   make demo         set-up, build, the main job on real input against the local hub
#   make test         set-up, build, every test
#   make check        unit tests, layering; installs nothing
#   make check-fast   unit tests alone;  make check-one T=tests/test_x.c  one of them
#   make SAN=address,undefined check    make SAN=thread check-thread
#   make install DESTDIR= PREFIX=/usr/local
#   make bench        the figures as a page with pictures, PROFILE=full for more;  make format, make clean;  V=1 shows the commands

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
CC := gcc
CXX ?= g++
SAN ?=
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
comma := ,
V ?=
Q := $(if $(V),,@)
say = @$(if $(V),:,echo "  $(1)" $(2))
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
export EHRING_BUILD := $(abspath $(BUILD))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion -Wvla
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -I. -D_GNU_SOURCE -DEHRING_BUILD_VERSION='"$(VERSION)"' -fPIC -fvisibility=hidden -ffunction-sections -pthread $(WARN) -Werror $(SANFLAGS) $(CFLAGS)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_LDFLAGS = -pthread $(SANFLAGS) $(LDFLAGS)

SHIPPER_LIBS := -lqpid-proton -lwslay -lssl -lcrypto -lcurl -lcjson -linih -luring -lm
HUB_LIBS := -lwslay -lssl -lcrypto -lcjson -lmicrohttpd
TEST_LIBS := -lcriterion $(SHIPPER_LIBS) -lmicrohttpd
DIRECT_LIBS := -lqpid-proton -lwslay -lssl -lcrypto -lcurl -lcjson

# What libehring is made of: the writer's side of the ring and the client; what libehring-direct is made of.
WRITER_SRC := $(wildcard ringbuf/*.c)
DIRECT_SRC := $(wildcard $(addprefix shipper/,ehring_direct.c direct_options.c direct_session.c direct_seen.c direct_wire.c direct_encode.c conn.c conn_link.c conn_run.c conn_event.c request.c request_message.c format.c tls.c amqp.c amqp_event.c amqp_size.c connstr.c sas.c utf8.c door.c config_door.c config_fields.c config_report.c config_secret.c log.c trace.c trace_value.c trace_clean.c trace_type.c trace_field.c trace_message.c trace_log.c))
DIRECT_SRC += $(wildcard $(addprefix shipper/,transport.c transport_way.c tls_context.c proxy.c proxy_select.c websocket.c websocket_upgrade.c http_head.c))
DIRECT_SRC += $(wildcard $(addprefix shipper/,direct_token.c backoff.c credential_assertion.c credential_chain.c credential_cli.c credential_entra.c credential_http.c credential_managed.c credential_text.c credential_token.c))

RINGBUF_SRC := $(wildcard ringbuf/*.c)
CLIENT_SRC := $(wildcard client/*.c)
SHIPPER_SRC := $(filter-out shipper/main.c,$(wildcard shipper/*.c))
HUB_SRC := $(filter-out tools/hub/main.c,$(wildcard tools/hub/*.c))
TOOLS_SRC := $(wildcard tools/*.c)
CTL_SRC := $(filter-out tools/ctl/main.c,$(wildcard tools/ctl/*.c)) $(TOOLS_SRC)
TOOLS := $(filter-out hub,$(notdir $(patsubst %/main.c,%,$(wildcard tools/*/main.c))))
TEST_SRC := $(wildcard tests/test_*.c)
PLAIN_SRC := $(wildcard tests/stress_*.c tests/crash_*.c tests/fuzz_*.c)
PRINT_SRC := $(wildcard tests/print_*.c)
CXX_SRC := $(wildcard tests/*.cpp)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
RINGBUF_A := $(BUILD)/libringbuf.a
SHIPPER_A := $(BUILD)/libshipper.a
HUB_A := $(BUILD)/libhub.a
CTL_A := $(BUILD)/libctl.a
EHRING_A := $(BUILD)/libehring.a
EHRING_SO := $(BUILD)/libehring.so.0
DIRECT_A := $(BUILD)/libehring-direct.a
DIRECT_SO := $(BUILD)/libehring-direct.so.0

PROGRAMS := $(if $(wildcard shipper/main.c),$(BUILD)/ehring-shipper) $(if $(wildcard tools/hub/main.c),$(BUILD)/ehring-hub) \
            $(addprefix $(BUILD)/ehring-,$(TOOLS)) $(if $(wildcard bench/*.c),$(BUILD)/ehring-bench)
# What ehring-bench measures beside us, each a program of its own in peers/. LTTng-UST is optional; the report says if it is not there.
LTTNG := $(shell pkg-config --exists lttng-ust 2>/dev/null && echo lttng)
PEER_FILES := $(addprefix $(BUILD)/peers/,proton-sender sender.py $(if $(LTTNG),lttng-tracer lttng.sh))
LIBRARIES := $(if $(CLIENT_SRC),$(EHRING_A) $(EHRING_SO) $(BUILD)/ehring.pc) $(if $(wildcard shipper/ehring_direct.c),$(DIRECT_A) $(DIRECT_SO) $(BUILD)/ehring-direct.pc)
TEST_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))
PRINT_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(PRINT_SRC))
PLAIN_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(PLAIN_SRC)) $(patsubst tests/%.cpp,$(BUILD)/tests/%,$(CXX_SRC))

.PHONY: all peers setup-bench demo test check check-fast check-one check-san check-thread tests tests-san tests-thread bench install format clean setup setup-demo layering
all: $(LIBRARIES) $(PROGRAMS)
tests: all $(PEER_FILES) $(TEST_PROGRAMS) $(PLAIN_PROGRAMS) $(PRINT_PROGRAMS)
# What the sanitizer runs need: no bench; of the programs of the thread sanitizer, those that have threads.
tests-thread: $(filter-out %-bench %-demo,$(PROGRAMS)) $(filter $(BUILD)/tests/stress_% $(BUILD)/tests/crash_%,$(PLAIN_PROGRAMS))
tests-san: $(EHRING_A) $(filter-out %-bench %-demo,$(PROGRAMS)) $(TEST_PROGRAMS) $(PLAIN_PROGRAMS)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC  ,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(RINGBUF_A): $(call objects,$(RINGBUF_SRC))
$(SHIPPER_A): $(call objects,$(SHIPPER_SRC))
$(HUB_A): $(call objects,$(HUB_SRC))
$(CTL_A): $(call objects,$(CTL_SRC))
$(RINGBUF_A) $(SHIPPER_A) $(HUB_A) $(CTL_A):
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR  ,$@)
	$(Q)ar rcs $@ $^

# A library of ours is one object whose hidden symbols are local: a user's program can have its own ring_open.
define whole_object
	@mkdir -p $(@D)
	$(call say,AR  ,$@)
	$(Q)ld -r -o $(@:.a=.o) $^
	$(Q)objcopy --localize-hidden $(@:.a=.o)
	@rm -f $@
	$(Q)ar rcs $@ $(@:.a=.o)
endef
$(EHRING_A): $(call objects,$(WRITER_SRC) $(CLIENT_SRC))
	$(whole_object)
$(DIRECT_A): $(call objects,$(DIRECT_SRC))
	$(whole_object)
$(EHRING_SO): $(call objects,$(WRITER_SRC) $(CLIENT_SRC)) client/ehring.map
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,libehring.so.0 -Wl,-z,nodelete -Wl,--gc-sections -Wl,--version-script=client/ehring.map $(if $(SAN),,-Wl,-z,defs) -o $@ $(filter %.o,$^) $(ALL_LDFLAGS)
	$(Q)ln -sf libehring.so.0 $(BUILD)/libehring.so
$(DIRECT_SO): $(call objects,$(DIRECT_SRC)) shipper/ehring_direct.map
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,libehring-direct.so.0 -Wl,--gc-sections -Wl,--version-script=shipper/ehring_direct.map -o $@ $(filter %.o,$^) $(ALL_LDFLAGS) $(DIRECT_LIBS)
	$(Q)ln -sf libehring-direct.so.0 $(BUILD)/libehring-direct.so
pc_file = $(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(DIRECT_LIBS)|' $(1) > $(2)
$(BUILD)/ehring.pc: client/ehring.pc.in Makefile
	@mkdir -p $(@D)
	$(call pc_file,$<,$@)
$(BUILD)/ehring-direct.pc: shipper/ehring-direct.pc.in Makefile
	@mkdir -p $(@D)
	$(call pc_file,$<,$@)

$(BUILD)/ehring-shipper: $(call objects,shipper/main.c) $(SHIPPER_A) $(RINGBUF_A)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(SHIPPER_LIBS)
$(BUILD)/ehring-hub: $(call objects,tools/hub/main.c) $(HUB_A)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(HUB_LIBS)
$(BUILD)/ehring-bench: $(call objects,$(wildcard bench/*.c)) $(EHRING_A) $(RINGBUF_A)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) -lssl -lcrypto -lcjson -lm
$(BUILD)/peers/lttng.sh $(BUILD)/peers/sender.py: $(BUILD)/peers/%: bench/peers/%
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@
$(BUILD)/peers/proton-sender: bench/peers/proton_sender.c Makefile
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(ALL_LDFLAGS) -lqpid-proton
$(BUILD)/peers/lttng-tracer: bench/peers/lttng_tracer.c bench/peers/lttng_tracer.h Makefile
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(filter-out -Wpedantic -Wconversion -Wshadow,$(ALL_CFLAGS)) -o $@ $< $(ALL_LDFLAGS) $(shell pkg-config --cflags --libs lttng-ust 2>/dev/null)
define tool_rule
$(BUILD)/ehring-$(1): $(call objects,$(wildcard tools/$(1)/*.c) $(TOOLS_SRC)) $(if $(CLIENT_SRC),$(EHRING_A)) $(if $(wildcard shipper/ehring_direct.c),$(DIRECT_A)) $(RINGBUF_A)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) -o $$@ $$^ $$(ALL_LDFLAGS) $(DIRECT_LIBS) -lcjson -lm
endef
$(foreach tool,$(TOOLS),$(eval $(call tool_rule,$(tool))))

TEST_ARCHIVES := $(if $(CTL_SRC),$(CTL_A)) $(if $(HUB_SRC),$(HUB_A)) $(if $(SHIPPER_SRC),$(SHIPPER_A)) $(RINGBUF_A) $(if $(CLIENT_SRC),$(EHRING_A))
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(TEST_LIBS)
$(BUILD)/tests/%: tests/%.cpp $(EHRING_A)
	@mkdir -p $(@D)
	$(call say,CXX ,$<)
	$(Q)$(CXX) -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iclient -I. $(SANFLAGS) $(CFLAGS) -o $@ $^ -pthread -lcjson
.PRECIOUS: $(BUILD)/obj/tests/%.o
$(call objects,$(TEST_SRC) $(PLAIN_SRC) $(PRINT_SRC)): ALL_CFLAGS += -Wno-missing-prototypes

setup setup-demo setup-bench:
	tools/setup.sh $(or $(patsubst setup-%,%,$(filter setup-%,$@)),test)

layering:
	tests/layering.sh "$(CC)" "$(CXX)"

check-fast: tests
	tests/run.sh unit
check: tests layering
	tests/run.sh unit plain
check-one: $(BUILD)/$(T:.c=)
	EHRING_TEST_DIR=tests $(BUILD)/$(T:.c=)
check-san: tests-san
	tests/run.sh unit plain
check-thread: tests-thread
	tests/run.sh threads

demo: setup-demo
	+$(MAKE) --no-print-directory $(JOBS) all
	tools/demo/demo.sh

test: setup
	+$(MAKE) --no-print-directory $(JOBS) tests layering
	tests/run.sh all

# Under a quarter of an hour; PROFILE=full takes half an hour. COMPARE=OLD.json names what has changed since.
PROFILE ?= short
peers: $(PEER_FILES)
bench: setup-bench
	+$(MAKE) --no-print-directory $(JOBS) all peers
	tests/sdk/install >/dev/null && install -m 755 bench/peers/bench_sender.mjs $(BUILD)/sdk/ || echo "make bench: goes on without the JavaScript SDK"
	$(BUILD)/ehring-bench report --profile $(PROFILE) --dir $(BUILD)/bench $(if $(COMPARE),--compare $(COMPARE))

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man3 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(filter-out %-demo,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 client/ehring.h client/ehring_json.h shipper/ehring_direct.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(EHRING_A) $(DIRECT_A) $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(EHRING_SO) $(DIRECT_SO) $(DESTDIR)$(PREFIX)/lib/
	ln -sf libehring.so.0 $(DESTDIR)$(PREFIX)/lib/libehring.so
	ln -sf libehring-direct.so.0 $(DESTDIR)$(PREFIX)/lib/libehring-direct.so
	$(call pc_file,client/ehring.pc.in,$(DESTDIR)$(PREFIX)/lib/pkgconfig/ehring.pc)
	$(call pc_file,shipper/ehring-direct.pc.in,$(DESTDIR)$(PREFIX)/lib/pkgconfig/ehring-direct.pc)
	for page in $(wildcard client/*.[1-8] shipper/*.[1-8] tools/*/*.[1-8] bench/*.[1-8]); do \
	    install -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/ || exit 1; done

format:
	clang-format -i $(wildcard */*.[ch] tools/*/*.[ch] tests/*.cpp)

clean:
	rm -rf build build-*

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

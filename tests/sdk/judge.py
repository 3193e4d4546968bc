"""The official Python SDK as a judge of the hub, of the shipper and of ehring-send, over AMQP, WebSocket and an HTTP proxy at once.

usage: judge.py send|read PLAN     PLAN: a JSON file, see judges.sh. Exit status is the verdict.
"""

import datetime
import functools
import json
import re
import sys
import threading
import time
import traceback
import uuid

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType
from azure.eventhub._pyamqp.sasl import SASLWithWebSocket

plan = json.load(open(sys.argv[2], encoding="utf-8"))
listed = json.load(open(plan["list"], encoding="utf-8"))
connection = open(plan["connection"], encoding="utf-8").read().strip()
LIMIT = listed["limit"]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Wrong(Exception):
    pass


def check(ok, *text):
    if not ok:
        raise Wrong(" ".join(str(part) for part in text))


def milliseconds(when):
    return (when - EPOCH) // datetime.timedelta(milliseconds=1)


# ---- a machine that is busy: over WebSocket the SDK gives each step up to SASL's outcome one second, and has no option for more ----


ws_connect, ws_negotiate = SASLWithWebSocket.connect, SASLWithWebSocket.negotiate


def connect_in_time(self):
    usual, self._connect_timeout = self._connect_timeout, 30
    ws_connect(self)
    self._connect_timeout = usual


def negotiate_in_time(self):
    ws_negotiate(self)
    self.ws.settimeout(self._connect_timeout)


SASLWithWebSocket.connect, SASLWithWebSocket.negotiate = connect_in_time, negotiate_in_time


# ---- the list; list.mjs knows the same rules ----


@functools.lru_cache(maxsize=None)
def body_of(n, length):
    to, state = bytearray(length), n
    for k in range(length):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        to[k] = state >> 24
    return bytes(to)


def events_of(hub):
    if hub.startswith("tool-"):
        frames = listed["frames"]
        return [{"n": i + 1, "len": length, "key": frames["key"], "contentType": "application/octet-stream"} for i, length in enumerate(frames["lens"])]
    return [{**event, "key": send.get("key"), "partition": send.get("partition")} for send in listed["sends"] for event in send["events"]]


# What a program gives to the SDK: plain Python where the SDK makes the right type of it, else a value with its AMQP type.
TO_SDK = {
    "string": str,
    "bool": lambda text: text == "true",
    "int": int,
    "long": lambda text: {"TYPE": "LONG", "VALUE": int(text)},
    "ulong": lambda text: {"TYPE": "ULONG", "VALUE": int(text)},
    "double": float,
    "timestamp": lambda text: EPOCH + datetime.timedelta(milliseconds=int(text)),
    "binary": bytes.fromhex,
    "uuid": uuid.UUID,
}
FROM_SDK = {
    "string": lambda value: value.decode(),
    "bool": lambda value: str(value is True).lower() if isinstance(value, bool) else value,
    "int": str,
    "long": str,
    "ulong": str,
    "double": lambda value: value,
    "timestamp": str,
    "binary": bytes.hex,
    "uuid": str,
}


def sdk_event(event, length):
    made = EventData(body_of(event["n"], length))
    made.properties = {"n": event["n"], "len": length, **{name: TO_SDK[kind](text) for name, (kind, text) in event.get("properties", {}).items()}}
    if "contentType" in event:
        made.content_type = event["contentType"]
    if "messageId" in event:
        made.message_id = event["messageId"]
    if "correlationId" in event:
        made.correlation_id = event["correlationId"]
    return made


def compare(want, event, partition, cannot, name):
    properties = {key.decode(): value for key, value in event.properties.items()}
    length = properties.pop("len", want["len"])
    del properties["n"]
    check(want["len"] in (length, "limit") and (want["len"] != "limit" or length > 1000000), name, "has", length, "bytes")
    body = b"".join(event.body)
    check(body == body_of(want["n"], length), name, "the body of", len(body), "bytes is not that of", length)
    check(want.get("partition") in (None, partition), name, "is in partition", partition)
    key = event.partition_key.decode() if event.partition_key is not None else None
    for what, value, wanted in (("key", key, want.get("key")), ("content type", event.content_type, want.get("contentType")),
                                ("message-id", event.message_id, want.get("messageId")), ("correlation-id", event.correlation_id, want.get("correlationId"))):
        check(value == wanted, name, "has", what, repr(value), "not", repr(wanted))
    wanted = {key: value for key, value in want.get("properties", {}).items() if value[0] not in cannot}
    check(properties.keys() == wanted.keys(), name, "differs in properties", properties.keys() ^ wanted.keys())
    for key, (kind, text) in wanted.items():
        value = FROM_SDK[kind](properties[key])
        check(value == (float(text) if kind == "double" else text), name, "has", key, "=", value, "not", text)


# ---- sending ----


def client_of(transport, make, *names, **options):
    """ "proxy": through an HTTP proxy to the address of a private endpoint; the namespace's own name is one that nobody can look up."""
    options = {"connection_verify": plan["ca"], "retry_total": 0, **options}
    if transport != "amqp":
        options["transport_type"] = TransportType.AmqpOverWebsocket
    if transport == "proxy":
        options["http_proxy"] = plan["proxy"]
    if transport == "proxy" or (transport == "ws" and not plan["endpoint"].endswith(":443")):
        options["custom_endpoint_address"] = "sb://" + plan["endpoint"]
    where = re.sub("sb://[^/]*", "sb://" + plan["namespace"], connection) if transport == "proxy" else connection
    return make(where, *names, **options)


def producer_of(transport, hub):
    return client_of(transport, EventHubProducerClient.from_connection_string, eventhub_name=hub)


def consumer_of(transport, hub, group="$Default"):
    # receive() ends only when its interval, 10 s by default, is over
    return client_of(transport, EventHubConsumerClient.from_connection_string, group, eventhub_name=hub, load_balancing_interval=0.3)


def refused_size(producer, event, partition, length):
    try:
        producer.send_event(sdk_event(event, length), partition_id=partition)
    except Exception as error:  # pylint: disable=broad-except # which one the SDK chooses is its own
        found = re.search(r"size:(\d+) bytes\) exceeds the limit \((\d+) bytes\)", str(error))
        check(found and int(found[2]) == LIMIT, "an event of", length, "bytes:", error)
        return int(found[1])
    raise Wrong(f"an event of {length} bytes is taken")


def send_largest(producer, event, partition):
    """As sendLargest() of judge.mjs."""
    batch = producer.create_batch(partition_id=partition)
    check(batch.max_size_in_bytes == LIMIT, "the link announces the limit", batch.max_size_in_bytes)
    try:
        batch.add(sdk_event(event, LIMIT))
        check(False, "an event over the limit fits into a batch")
    except ValueError:
        pass
    length = LIMIT - (refused_size(producer, event, partition, LIMIT) - LIMIT)
    check(refused_size(producer, event, partition, length + 1) == LIMIT + 1, "a byte over the limit")
    producer.send_event(sdk_event(event, length), partition_id=partition)


def send(transport):
    with producer_of(transport, f"py-{transport}") as producer:
        for entry in listed["sends"]:
            if entry["events"][0]["len"] == "limit":
                send_largest(producer, entry["events"][0], entry["partition"])
                continue
            batch = producer.create_batch(partition_key=entry.get("key"), partition_id=entry.get("partition"))
            for event in entry["events"]:
                batch.add(sdk_event(event, event["len"]))
            producer.send_batch(batch)


# ---- reading ----


class Reading:
    """Reads until so many events have come, or an error, or the time is up."""

    closing = []  # over WebSocket it takes a second for each partition, which nobody need wait for

    def __init__(self, transport, hub, count, group="$Default", **position):
        self.found, self.error, self.count, self.name = [], None, count, f"{hub} {position}"
        self.enough = threading.Event()
        self.client = consumer_of(transport, hub, group)
        self.thread = threading.Thread(target=self._run, kwargs={"max_batch_size": 300, **position})
        self.thread.start()

    def _run(self, **position):
        try:
            self.client.receive_batch(self._take, on_error=self._fail, **position)
        except Exception as error:  # pylint: disable=broad-except # told by wait()
            self._fail(None, error)

    def _take(self, context, events):
        self.found += [(context.partition_id, event) for event in events]
        if len(self.found) >= self.count:
            self.enough.set()

    def _close(self):
        self.client.close()
        self.thread.join()

    def _fail(self, _, error):
        self.error = error
        self.enough.set()

    def wait(self):
        in_time = self.enough.wait(60)
        closer = threading.Thread(target=self._close)
        closer.start()
        Reading.closing.append(closer)
        check(self.error is None, self.name, repr(self.error))
        check(in_time, self.name, len(self.found), "of", self.count, "events after 60 s")
        return self.found


def read_hub(transport, hub):
    wanted = {event["n"]: event for event in events_of(hub)}
    seen = []
    for partition, event in Reading(transport, hub, len(wanted), starting_position="-1").wait():
        n = event.properties.get(b"n")
        check(n in wanted, hub, "event", n, "came twice, or nobody sent it")
        want = wanted.pop(n)
        compare(want, event, partition, listed["cannot"].get(hub, []), f"{hub}: event {n}")
        seen.append({"partition": partition, "seq": event.sequence_number, "offset": event.offset, "time": milliseconds(event.enqueued_time),
                     "key": want.get("key"), "n": n})
    return sorted(seen, key=lambda event: (event["partition"], event["seq"]))


def describe(transport, hub):
    with consumer_of(transport, hub) as consumer:
        about = consumer.get_eventhub_properties()
        partitions = [consumer.get_partition_properties(partition) for partition in about["partition_ids"]]
        return {
            "name": about["eventhub_name"],
            "createdOn": milliseconds(about["created_at"]),
            "partitions": [{"id": p["id"], "hub": p["eventhub_name"], "first": p["beginning_sequence_number"], "last": p["last_enqueued_sequence_number"],
                            "offset": p["last_enqueued_offset"], "time": milliseconds(p["last_enqueued_time_utc"]), "isEmpty": p["is_empty"]}
                           for p in partitions],
        }


def start_where_asked_to(transport, seen):
    """From an offset, a sequence number, a time: what comes first."""
    partition = "2"
    events = [event for event in seen if event["partition"] == partition]
    at = events[len(events) // 2]
    later = next(event["seq"] for event in events if event["time"] >= at["time"])
    before = [EPOCH + datetime.timedelta(milliseconds=event["time"] - 1) for event in (at, events[0])]
    rows = (
        ("behind an offset", at["offset"], False, at["seq"] + 1),
        ("at an offset", at["offset"], True, at["seq"]),
        ("behind a sequence number", at["seq"], False, at["seq"] + 1),
        ("at a sequence number", at["seq"], True, at["seq"]),
        ("after a time", before[0], False, later),
        ("after a time before all", before[1], False, 0),
    )
    readings = [Reading(transport, f"py-{transport}", 1, ("first", "second")[i % 2], partition_id=partition, starting_position=position,
                        starting_position_inclusive=inclusive) for i, (_, position, inclusive, _) in enumerate(rows)]
    for (name, _, _, wanted), reading in zip(rows, readings):  # in two groups: each has five readers of a partition at most
        first = reading.wait()[0][1].sequence_number
        check(first == wanted, name, "comes", first, "not", wanted)


def start_at_the_end(transport, partition):
    """From the end: what was there already does not come; of what is sent all the time, everything comes from one on."""
    with producer_of(transport, "ends") as producer:
        producer.send_event(EventData(b"0"), partition_id=partition)
        reading = Reading(transport, "ends", 3, partition_id=partition, starting_position="@latest",
                          prefetch=3)  # while events keep coming, the SDK hands out none before it has so many
        i = 0
        while not reading.enough.wait(0.05):
            i += 1
            producer.send_event(EventData(str(i).encode()), partition_id=partition)
        bodies = [int(b"".join(event.body)) for _, event in reading.wait()]
        check(bodies[0] > 0 and bodies == list(range(bodies[0], bodies[0] + len(bodies))), "from the end:", bodies)


def same_keys_same_partitions(hubs):
    partitions = {}
    for hub, seen in hubs.items():
        for event in seen:
            if event["key"] is not None:
                known = partitions.setdefault(event["key"], event["partition"])
                check(known == event["partition"], "key", repr(event["key"]), "is in partition", event["partition"], "of", hub, "elsewhere in", known)


def read(transport):
    hubs, described = plan["hubs"], plan["described"]
    results = together([(read_hub, transport, hub) for hub in hubs] + [(describe, transport, hub) for hub in described])
    events, about = dict(zip(hubs, results)), dict(zip(described, results[len(hubs):]))
    same_keys_same_partitions(events)
    with open(f"{plan['dir']}/seen-py-{transport}.json", "w", encoding="utf-8") as file:
        json.dump({"about": about, "events": events}, file, ensure_ascii=False, separators=(",", ":"))
    name = f"py-{transport}"
    together([(start_where_asked_to, transport, events[name]), (start_at_the_end, transport, plan["ends"][name])])


# ---- many at once ----


def together(calls):
    """Each in a thread; their results, or the first error."""
    results, errors = [None] * len(calls), []

    def run(i, function, *arguments):
        try:
            results[i] = function(*arguments)
        except Exception as error:  # pylint: disable=broad-except # raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i, *call)) for i, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def main():
    mode, failed = sys.argv[1], []

    def judge(transport):
        try:
            {"send": send, "read": read}[mode](transport)
        except Exception:  # pylint: disable=broad-except # the verdict
            failed.append(transport)
            print(f"FAILED py-{transport} {mode}:", traceback.format_exc(), flush=True)

    start = time.monotonic()
    together([(judge, transport) for transport in plan["transports"]])
    for closer in Reading.closing:
        closer.join()
    if not failed:
        print(f"py {mode} {time.monotonic() - start:.1f} s")
    sys.exit(1 if failed else 0)


main()

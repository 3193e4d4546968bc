/* How a peer is reached and who we are there: of a stream's configuration, or of the settings of libehring-direct. Plain data, immutable
 * once config_door_finish has made it. Holds secrets. */
#ifndef EHRING_DOOR_H
#define EHRING_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "connstr.h"
#include "credential.h"

enum door_type { DOOR_EVENT_HUBS, DOOR_AMQP /* any AMQP 1.0 broker: SASL, no CBS, one message per event */ };
enum door_transport { DOOR_TRANSPORT_AMQP, DOOR_TRANSPORT_WEBSOCKET };
enum door_proxy { DOOR_PROXY_NONE, DOOR_PROXY_AUTO /* as https_proxy, all_proxy and no_proxy say */, DOOR_PROXY_GIVEN };
/* Where an event's key goes in a message of DOOR_AMQP. */
enum door_key_place { DOOR_KEY_GROUP_ID, DOOR_KEY_SUBJECT, DOOR_KEY_APPLICATION_PROPERTY, DOOR_KEY_MESSAGE_ANNOTATION };

struct door {
    enum door_type type;
    enum door_transport transport;
    bool plain;                                 /* no TLS: an emulator on this host, or a broker given as amqp:// */
    char hub[257];                              /* the Event Hub; with DOOR_AMQP the target's address */
    struct connstr connstr;                     /* host and port, whatever the type; the policy's name and key, or a signature */
    char second_key_name[257], second_key[513]; /* tried when the first is refused; empty: none */
    char endpoint_host[256];                    /* where TCP goes instead of connstr.host; empty: there */
    uint16_t endpoint_port;                     /* 0: the default of the transport */
    enum door_proxy proxy;
    char proxy_host[256]; /* with DOOR_PROXY_GIVEN */
    uint16_t proxy_port;
    char proxy_user[257], proxy_password[257]; /* empty: none */
    char ca_file[1024], ca_dir[1024];          /* both empty: the system's store */
    char tls_certificate[1024], tls_key[1024]; /* of ours, PEM; both empty: none */
    char tls_key_password[257];
    struct credential_options credential;    /* CREDENTIAL_SAS: connstr's key or signature */
    char open_hostname[256];                 /* with DOOR_AMQP, of the open frame; empty: connstr.host */
    char sasl_user[257], sasl_password[257]; /* with DOOR_AMQP; both empty: ANONYMOUS */
    enum door_key_place key_place;
    char key_name[129]; /* of the application property or message annotation */
    /* which contents ca_file and ca_dir, tls_certificate and tls_key had when the configuration was read: a renewal in place is a change */
    char ca_stamp[128], tls_stamp[128];
    /* as they were given, for config_print and differences; what they mean stands above */
    char endpoint[300], proxy_text[300], key_property[160];
};

struct amqp_event;
struct amqp_text;

/* The port of the peer itself: the given one, or the transport's default. */
uint16_t door_port(const struct door *door);
/* Where TCP goes when there is no proxy. */
const char *door_dial_host(const struct door *door);
uint16_t door_dial_port(const struct door *door);
/* The host that the open frame asks for. */
const char *door_open_hostname(const struct door *door);
/* With DOOR_AMQP: puts the key where the door says. 0, or -EBADMSG: it has too many properties already. */
int door_place_key(const struct door *door, struct amqp_text key, struct amqp_event *event);

#endif

"""The official Python SDK as a sender: full batches, one after another.

usage: sender.py CONNECTION_STRING_FILE HUB CA_FILE BYTES; prints "accepted N" until it is ended, or "cannot REASON".
"""

import inspect
import sys
import time

import azure.eventhub
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub import _configuration

connection, hub, ca, size = sys.argv[1:5]
text = open(connection, encoding="utf-8").read().strip()
body = b"e" * int(size)
options = {"connection_verify": ca}
if "UseDevelopmentEmulator=true" in text:
    # Before it had this option, each of its transports put TLS on its socket (5.11, Debian 12): SASLTransport is an SSLTransport, to port
    # 5671 whatever the endpoint says, and the one over WebSockets asks for wss://.
    if "use_tls" not in inspect.getsource(_configuration):
        print("cannot do without TLS in version", azure.eventhub.__version__ + ", all of whose transports are TLS", flush=True)
        sys.exit(1)
    options = {"use_tls": False}
client = EventHubProducerClient.from_connection_string(text, eventhub_name=hub, **options)
accepted, told = 0, 0.0
while True:
    batch = client.create_batch()
    try:
        while True:
            batch.add(EventData(body))
    except ValueError:
        pass  # it is full
    client.send_batch(batch)
    accepted += len(batch)
    if time.monotonic() - told >= 0.05:
        told = time.monotonic()
        print("accepted", accepted, flush=True)

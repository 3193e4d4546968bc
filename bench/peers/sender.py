"""The official Python SDK as a sender: full batches, one after another.

usage: sender.py CONNECTION_STRING_FILE HUB CA_FILE BYTES; prints "accepted N" until it is ended.
"""

import sys
import time

from azure.eventhub import EventData, EventHubProducerClient

connection, hub, ca, size = sys.argv[1:5]
text = open(connection, encoding="utf-8").read().strip()
body = b"e" * int(size)
options = {"connection_verify": ca}
if "UseDevelopmentEmulator=true" in text:
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

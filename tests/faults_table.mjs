// Every fault that ehring-hub plays, as rows. A row: its name, what is played, what shows that it was met, what ends it, and whether events may arrive twice.
//   hit      counters of the hub (GET /stats) and how far they must have moved
//   stalls   nothing is stored any more at either shipper, while its producers go on
//   says     what each shipper's log must say
//   limit    what each shipper must have been told as its links' max-message-size
//   then     what is played afterwards
//   twice    the hub stored and did not answer, or a connection, session or link ended under a delivery: a resend may be a duplicate
//   poison   one event of each shipper has that word in it, and ends as a dead letter
//   busy     throttled on purpose: fewer events, for the pace is slow afterwards
const cut = { twice: true }
const lost = { hit: { links_detached: 2 }, twice: true }
const gone = { says: /msg="connection (closed|lost)/, twice: true }
const wait = 'text="The request was terminated because the entity is being throttled. Error code : 50008. Please wait 1 seconds and try again."'

export const rows = [
  // connections
  { name: 'all connections dropped', play: ['drop-connections'], hit: { connections_cut: 2 }, ...cut },
  ...[1, 9, 500, 33333, 300000].map(bytes => (
    { name: `cut after ${bytes} bytes received`, play: [`cut-received bytes=${bytes} next=3`], hit: { connections_cut: 3 }, ...cut })),
  ...[1, 9, 100, 1000].map(bytes => (
    { name: `cut after ${bytes} bytes sent`, play: [`cut-sent bytes=${bytes} next=3`], hit: { connections_cut: 3 }, ...cut })),
  { name: 'connections refused', play: ['refuse-connections', 'drop-connections'], says: /msg="no connection/, then: ['clear refuse-connections'], ...cut },
  { name: 'closed, as every day', play: ['close'], ...gone },
  { name: 'closed, an error', play: ['close condition=amqp:internal-error text="try again"'], ...gone },
  { name: 'closed, framing error', play: ['close condition=amqp:connection:framing-error'], ...gone },
  { name: 'closed, no authorisation', play: ['close condition=amqp:connection:forced text="Unauthorized access."'], ...gone },
  { name: 'closed, no reason', play: ['close condition=none'], ...gone },
  { name: 'session ended, an error', play: ['end'], ...gone },
  { name: 'session ended, window violation', play: ['end condition=amqp:session:window-violation'], ...gone },
  { name: 'session ended, no reason', play: ['end condition=none'], ...gone },

  // links
  { name: 'detached, as every day', play: ['detach'], ...lost },
  { name: 'detached, an error', play: ['detach condition=amqp:internal-error text=sorry'], ...lost },
  { name: 'detached, no reason', play: ['detach condition=none'], ...lost },
  { name: 'detached, no authorisation', play: ['detach text="Unauthorized access. Send claim is required."'], ...lost },
  { name: 'detached, unheard of', play: ['detach condition=com.example:unheard-of'], ...lost },
  { name: 'one partition detached', play: ['detach address=*/Partitions/1'], ...lost },
  { name: 'attach refused', play: ['refuse-attach next=6', 'detach'], hit: { links_refused: 6 }, ...cut },
  { name: 'attach refused, moving', play: ['refuse-attach next=4 condition=amqp:not-found text="on the move"', 'detach'], hit: { links_refused: 4 }, ...cut },
  { name: 'attach refused, not found', play: ['refuse-attach next=2 condition=amqp:not-found text="it could not be found"', 'detach'],
    hit: { links_refused: 2 }, ...cut },
  { name: 'smaller messages', play: ['max-message-size bytes=20000', 'detach'], limit: 20000, then: ['clear max-message-size', 'detach'], ...cut },
  { name: 'no credit', play: ['stop-credit'], stalls: true, then: ['clear stop-credit'] },
  { name: 'one credit at a time', play: ['credit count=1', 'detach'], hit: { deliveries: 40 }, then: ['clear credit'], ...cut },

  // deliveries
  { name: 'rejected', play: ['reject next=10'], hit: { rejected: 10 } },
  { name: 'rejected, not allowed', play: ['reject next=4 condition=amqp:not-allowed text=no'], hit: { rejected: 4 } },
  { name: 'rejected, no reason', play: ['reject next=6 condition=none'], hit: { rejected: 6 } },
  { name: 'rejected, unheard of', play: ['reject next=6 condition=com.example:unheard-of'], hit: { rejected: 6 } },
  { name: 'rejected, its content', play: ['reject body=poison condition=amqp:decode-error text="cannot be read"'], poison: true, then: ['clear reject'] },
  { name: 'rejected, its size', play: ['reject body=poison condition=amqp:link:message-size-exceeded text="too large"'], poison: true, then: ['clear reject'] },
  { name: 'rejected, no authorisation', play: ['reject next=2 condition=amqp:unauthorized-access text=no'], hit: { rejected: 2 }, ...cut },
  { name: 'released', play: ['release next=10'], hit: { released: 10 } },
  { name: 'modified', play: ['modify next=10'], hit: { modified: 10 } },
  { name: 'modified, undeliverable here', play: ['modify next=6 undeliverable-here=yes'], hit: { modified: 6 } },
  { name: 'answered late', play: ['late-dispositions delay=300ms'], hit: { deliveries: 40 }, then: ['clear late-dispositions'] },
  { name: 'stored, not answered, detached', play: ['silent-disposition next=3'], hit: { unanswered: 3 }, then: ['detach'], ...cut },
  { name: 'stored, not answered, dropped', play: ['silent-disposition next=3'], hit: { unanswered: 3 }, then: ['drop-connections'], ...cut },
  { name: 'stored, then dropped', play: ['drop-after next=5'], hit: { unanswered: 5, connections_cut: 5 }, ...cut },
  { name: 'stored, then detached', play: ['detach-after next=5'], hit: { unanswered: 5, links_detached: 5 }, ...cut },
  { name: 'stored, then detached, an error', play: ['detach-after next=4 condition=amqp:internal-error'], hit: { unanswered: 4 }, ...cut },
  { name: 'reads nothing', play: ['stop-reading'], stalls: true, then: ['clear stop-reading'] },

  // tokens and requests
  { name: 'tokens expire', play: ['expire-tokens'], hit: { tokens_accepted: 2 }, ...cut },
  { name: 'tokens live two seconds', play: ['token-life max=2s', 'expire-tokens'], hit: { tokens_accepted: 6 },
    then: ['clear token-life', 'drop-connections'], ...cut },
  ...[401, 403, 404, 500, 503].map(status => (
    { name: `token answered ${status}`, play: [`fail-cbs next=3 status=${status} condition=com.example:unheard-of`, 'drop-connections'],
      hit: { tokens_refused: 3 }, ...cut })),
  ...[401, 404, 500].map(status => (
    { name: `hub's properties answered ${status}`, play: [`fail-management next=3 status=${status}`, 'drop-connections'], hit: { requests_failed: 3 }, ...cut })),
  { name: 'token not answered, dropped', play: ['fail-cbs next=2 silent=yes', 'drop-connections'], hit: { tokens_refused: 2 }, then: ['drop-connections'],
    ...cut },
  { name: "hub's properties not answered", play: ['fail-management next=2 silent=yes', 'drop-connections'], hit: { requests_failed: 2 },
    then: ['drop-connections'], ...cut },

  // too busy
  { name: 'busy, five times', play: ['server-busy next=5 wait=1s'], hit: { throttled: 5 }, busy: true },
  { name: 'busy for a second', play: ['server-busy for=1s wait=1s'], hit: { throttled: 4 }, busy: true },
  { name: 'detached, busy', play: [`detach condition=com.microsoft:server-busy ${wait}`], hit: { links_detached: 2 }, busy: true, ...cut },
  { name: 'closed, busy', play: [`close condition=com.microsoft:server-busy ${wait}`], ...gone, busy: true },
  { name: 'bytes per second', play: ['rate-limit bytes-per-second=20K wait=1s'], hit: { throttled: 3 }, then: ['clear rate-limit'], busy: true },
  { name: 'events per second', play: ['rate-limit events-per-second=100 wait=1s'], hit: { throttled: 3 }, then: ['clear rate-limit'], busy: true },
]

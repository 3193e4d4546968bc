// Entra ID, IMDS and App Service for the end-to-end tests: real servers on loopback that check every request as the real ones do and sign real
// tokens, for ehring-hub --jwt-key.
//   entra.mjs DIR   makes DIR/{ca,jwt,app}.pem, listens, writes DIR/entra.ports, notes each request as a line of DIR/entra.log
// DIR/entra.json says how it answers, read again for each request: { life, roles, fail: status | 0, secret, federated: path }
import { execFileSync } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'

const dir = process.argv[2]
const file = name => `${dir}/${name}`
const tenant = 'contoso.example', client = '11111111-2222-3333-4444-555555555555'
const RESOURCE = 'https://eventhubs.azure.net'
const audience = RESOURCE

function certificate(name, subject) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${subject}`, '-addext', `subjectAltName=DNS:${subject}`,
    '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)], { stdio: 'ignore' })
}
certificate('ca', 'localhost')
fs.copyFileSync(file('ca.crt'), file('ca.pem'))
certificate('app', 'application')
fs.writeFileSync(file('app.pem'), fs.readFileSync(file('app.key'), 'utf8') + fs.readFileSync(file('app.crt'), 'utf8'))
const signer = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })
fs.writeFileSync(file('jwt.pem'), signer.publicKey.export({ type: 'spki', format: 'pem' }))
const application = new crypto.X509Certificate(fs.readFileSync(file('app.crt')))
const assertions = new Set()

const base64url = value => Buffer.from(typeof value == 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)).toString('base64url')
const settings = () => ({ life: 3600, roles: ['Azure Event Hubs Data Sender'], fail: 0, ...JSON.parse(fs.readFileSync(file('entra.json'), 'utf8')) })
const note = line => fs.appendFileSync(file('entra.log'), `${line}\n`)

function token({ life, roles }) {
  const now = Math.floor(Date.now() / 1000)
  const text = `${base64url({ typ: 'JWT', alg: 'RS256' })}.${base64url({ aud: audience, iss: `https://sts/${tenant}`, iat: now, nbf: now, exp: now + life, appid: client, roles })}`
  return { text: `${text}.${base64url(crypto.sign('sha256', Buffer.from(text), signer.privateKey))}`, expires: now + life }
}

class Refusal extends Error {
  constructor(status, code, text) {
    super(text)
    Object.assign(this, { status, code })
  }
}
const demand = (ok, status, code, text) => { if (!ok) throw new Refusal(status, code, text) }

function assertion_check(jwt, url) { // signed by the application's certificate, for us, of now, for the first time
  const [head, claims, signature] = jwt.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url')), said = JSON.parse(Buffer.from(claims, 'base64url')), now = Date.now() / 1000
  demand(header.alg == 'RS256' && header.typ == 'JWT', 401, 50027, 'JWT token is invalid or malformed.')
  demand(header.x5t == crypto.createHash('sha1').update(application.raw).digest('base64url'), 401, 700027, 'The certificate with identifier is not registered.')
  demand(crypto.verify('sha256', Buffer.from(`${head}.${claims}`), application.publicKey, Buffer.from(signature, 'base64url')), 401, 700027, 'signature')
  demand(said.aud == url && said.iss == client && said.sub == client, 401, 700023, 'Client assertion audience claim does not match.')
  demand(said.nbf <= now + 5 && said.exp > now && said.exp - said.nbf <= 86400, 401, 700024, 'Client assertion is not within its valid time range.')
  demand(!assertions.has(said.jti), 401, 70002, 'The assertion was used before.')
  assertions.add(said.jti)
}

function entra(request, body, now) {
  const form = new URLSearchParams(body), url = `https://localhost:${entraServer.address().port}${request.url}`
  demand(request.method == 'POST' && request.headers['content-type'] == 'application/x-www-form-urlencoded', 400, 900144, 'The request is no form.')
  demand(request.url == `/${tenant}/oauth2/v2.0/token`, 400, 90002, `Tenant '${request.url.split('/')[1]}' not found.`)
  demand(form.get('client_id') == client, 400, 700016, 'Application was not found in the directory.')
  demand(form.get('grant_type') == 'client_credentials' && form.get('scope') == `${RESOURCE}/.default`, 400, 70011, 'The provided scope is not valid.')
  if (form.has('client_secret')) {
    demand(form.get('client_secret') == now.secret, 401, 7000215, "Invalid client secret provided. Ensure the secret being sent is the client secret value.")
    note('secret')
    return
  }
  demand(form.get('client_assertion_type') == 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', 400, 900144, 'client_assertion_type')
  const jwt = form.get('client_assertion')
  if (now.federated && jwt == fs.readFileSync(now.federated, 'utf8').trim()) {
    note('workload')
    return
  }
  assertion_check(jwt, url)
  note('certificate')
}

function managed(request, body, now) {
  const url = new URL(request.url, 'http://x')
  if (url.pathname == '/metadata/identity/oauth2/token') {
    demand(request.headers.metadata == 'true', 400, 0, 'Required metadata header not specified')
    demand(url.searchParams.get('api-version') == '2018-02-01' && url.searchParams.get('resource') == RESOURCE, 400, 0, 'Bad query')
    note('imds')
  } else {
    demand(url.pathname == '/msi/token' && request.headers['x-identity-header'] == now.header, 401, 0, 'Unauthorized')
    demand(url.searchParams.get('api-version') == '2019-08-01' && url.searchParams.get('resource') == RESOURCE, 400, 0, 'Bad query')
    note('app-service')
  }
}

const answering = (judge, shape) => async (request, response) => {
  let body = ''
  for await (const piece of request) body += piece
  try {
    const now = settings()
    if (now.fail) {
      note(`failed ${now.fail}`)
      throw new Refusal(now.fail, 90033, 'A transient error has occurred. Please try again.')
    }
    judge(request, body, now)
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(shape(token(now), now)))
  } catch (error) {
    note(`refused ${error.code} ${error.message}`)
    response.writeHead(error.status ?? 500, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error: 'invalid_client',
      error_description: `${error.code ? `AADSTS${error.code}: ` : ''}${error.message}\r\nTrace ID: 00000000\r\nTimestamp: now` }))
  }
}
const entraServer = https.createServer({ key: fs.readFileSync(file('ca.key')), cert: fs.readFileSync(file('ca.crt')) },
  answering(entra, ({ text }, now) => ({ token_type: 'Bearer', expires_in: now.life, ext_expires_in: now.life, access_token: text })))
const managedServer = http.createServer(answering(managed, ({ text, expires }) => ({ access_token: text, client_id: client, expires_on: String(expires), not_before: '1', resource: RESOURCE, token_type: 'Bearer' })))

// az account get-access-token, asked by the script that the test puts on PATH
const cliServer = http.createServer(answering(() => note('cli'), ({ text, expires }) => ({ accessToken: text, expiresOn: '2001-01-01 00:00:00.000000', expires_on: expires, subscription: 's', tenant, tokenType: 'Bearer' })))

await Promise.all([entraServer, managedServer, cliServer].map(server => new Promise(resolve => server.listen(0, '127.0.0.1', resolve))))
fs.writeFileSync(file('entra.new'), `entra=${entraServer.address().port}\nmanaged=${managedServer.address().port}\ncli=${cliServer.address().port}\n`)
fs.renameSync(file('entra.new'), file('entra.ports'))

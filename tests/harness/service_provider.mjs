// oidc-provider for the tests of the bot's own credentials: client credentials by secret (basic, post) and by private key, tokens for one
// resource, whose state may be asked for; and statements of who asks, exchanged for tokens of that person's (RFC 8693), a grant that it is
// taught here. The folder of its package is the first argument, the client's public keys the second, those that sign statements the third.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { createServer } from 'node:http';

const [folder, keys, signers] = process.argv.slice(2);
const { default: Provider, errors } = await import(pathToFileURL(`${folder}/oidc-provider/lib/index.js`));
const jose = await import(pathToFileURL(createRequire(`${folder}/oidc-provider/`).resolve('jose')));
const TYPE = 'urn:ietf:params:oauth:token-type';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

function exchange(provider) {
  const statements = jose.createLocalJWKSet(JSON.parse(signers));
  const expected = { issuer: 'https://bot.example', audience: provider.issuer, typ: 'JWT', maxTokenAge: '60s', requiredClaims: ['sub', 'jti'] };
  return async (ctx) => {
    const { client, params } = ctx.oidc;
    if (params.subject_token_type !== `${TYPE}:jwt`) throw new errors.InvalidRequest('subject_token_type');
    if (params.audience !== 'hr-api') throw new errors.InvalidTarget('audience');
    const found = await jose.jwtVerify(params.subject_token, statements, expected).catch(() => {
      throw new errors.InvalidGrant('subject_token');
    });
    const token = new provider.AccessToken({ accountId: found.payload.sub, client, scope: params.scope, gty: 'exchange' });
    token.resourceServer = new provider.ResourceServer('hr-api', { audience: 'hr-api', scope: 'hr.read', accessTokenTTL: 120 });
    ctx.body = { access_token: await token.save(), issued_token_type: `${TYPE}:access_token`, token_type: 'Bearer', expires_in: 120 };
  };
}
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const client = { grant_types: ['client_credentials', EXCHANGE], redirect_uris: [], response_types: [], scope: 'hr.read hr.write' };
  const secret = { ...client, client_secret: 's3cret+/=~ of % the client' };
  const provider = new Provider(issuer, {
    clients: [
      { ...secret, client_id: 'bot/1', token_endpoint_auth_method: 'client_secret_basic' },
      { ...secret, client_id: 'poster', token_endpoint_auth_method: 'client_secret_post' },
      { ...client, client_id: 'signer', token_endpoint_auth_method: 'private_key_jwt', jwks: JSON.parse(keys) },
    ],
    scopes: ['hr.read', 'hr.write'],
    clockTolerance: 0,
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] },
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => [],
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'hr.read hr.write', audience: 'hr-api', accessTokenTTL: 120, accessTokenFormat: 'opaque' }),
      },
    },
    ttl: { ClientCredentials: 120 },
  });
  const subject = ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'scope'];
  provider.registerGrantType(EXCHANGE, exchange(provider), subject);
  server.on('request', provider.callback());
  console.log(issuer);
});

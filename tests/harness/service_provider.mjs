// oidc-provider for the tests of the bot's own credentials: client credentials by secret (basic, post) and by private key, tokens for one
// resource, whose state may be asked for. The folder of its package is the first argument, the client's public keys the second.
import { pathToFileURL } from 'node:url';
import { createServer } from 'node:http';

const [folder, keys] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${folder}/oidc-provider/lib/index.js`));
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const client = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'hr.read hr.write' };
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
  server.on('request', provider.callback());
  console.log(issuer);
});

// npm's oidc-provider as strict as it can be: PKCE for everybody, refresh tokens that rotate, clocks that may not differ.
// Nobody types anything: whoever the cookie-less request names in login_hint is signed in and agrees to everything.
// Its settings come as JSON in the environment (SETTINGS); the last line on standard output says where it listens.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const root = process.env.OIDC_PROVIDER;
const require = createRequire(path.join(root, 'x.js'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const settings = JSON.parse(process.env.SETTINGS);
const issuer = `http://127.0.0.1:${settings.port}`;

const provider = new Provider(issuer, {
  clients: settings.clients,
  clockTolerance: 0,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  scopes: ['openid', 'offline_access', 'email', 'profile', ...settings.scopes],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: true,
  findAccount: async (ctx, sub) => ({
    accountId: sub,
    claims: async () => ({ sub, name: `${sub} of HR`, email: `${sub}@example.com`, email_verified: true }),
  }),
  ttl: { AccessToken: settings.life, RefreshToken: 86400, AuthorizationCode: 60, IdToken: 600, Grant: 86400, Session: 86400, Interaction: 600, DeviceCode: 300 },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    userinfo: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: async (ctx, form) => { ctx.body = form; },
      userCodeConfirmSource: async (ctx, form) => { ctx.body = form; },
      successSource: async (ctx) => { ctx.body = 'signed in'; },
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (ctx, resource) => ({ scope: settings.scopes.join(' '), audience: resource, accessTokenTTL: settings.life, accessTokenFormat: 'opaque' }),
    },
  },
  cookies: { keys: ['only for tests'] },
});

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  const { prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
  if (params.login_hint === 'nobody') {
    return provider.interactionFinished(ctx.req, ctx.res, { error: 'access_denied' });
  }
  if (prompt.name === 'login') {
    return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: params.login_hint || 'ann' } });
  }
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes || {})) grant.addResourceScope(resource, scopes.join(' '));
  return provider.interactionFinished(ctx.req, ctx.res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
});

provider.listen(settings.port, '127.0.0.1', () => console.log(`listening at ${issuer}`));

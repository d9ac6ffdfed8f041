// npm's oidc-provider as strict as it can be: PKCE for everybody, refresh tokens that rotate, clocks that may not differ.
// Nobody types anything: whoever the cookie-less request names in login_hint is signed in and agrees to everything.
// Its settings come as JSON in the environment (SETTINGS); a line on standard output says where it listens, and one more each what was
// asked and said at its token endpoint. What is posted to /for-tests changes it from then on: `life`, the seconds of an access token;
// `down`, paths at which connections end without an answer; `held`, paths at which nothing is said for as long.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const root = process.env.OIDC_PROVIDER;
const require = createRequire(path.join(root, 'x.js'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const settings = JSON.parse(process.env.SETTINGS);
const issuer = `http://127.0.0.1:${settings.port}`;
const now = { life: settings.life, down: [], held: [] };

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
  ttl: { AccessToken: () => now.life, RefreshToken: 86400, AuthorizationCode: 60, IdToken: 30, Grant: 86400, Session: 86400, Interaction: 600, DeviceCode: 300 },
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
      getResourceServerInfo: async (ctx, resource) => ({ scope: settings.scopes.join(' '), audience: resource, accessTokenTTL: now.life, accessTokenFormat: 'opaque' }),
    },
  },
  cookies: { keys: ['only for tests'] },
});

provider.use(async (ctx, next) => {
  if (ctx.path === '/for-tests') {
    Object.assign(now, JSON.parse(await text(ctx.req)));
    ctx.body = 'done';
    return;
  }
  while (now.held.includes(ctx.path)) await sleep(20);
  if (now.down.includes(ctx.path)) {
    ctx.respond = false;
    ctx.req.socket.destroy();
    return;
  }
  await next();
  if (ctx.path === '/token') console.log(JSON.stringify({ sent: ctx.oidc?.params ?? {}, status: ctx.status, said: ctx.body }));
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

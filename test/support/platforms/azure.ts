/**
 * Microsoft Entra access tokens of a managed identity, version 1.0 and 2.0.
 *
 * Source: learn.microsoft.com, "Access token claims reference" (payload claims, per version) and "How to use managed
 * identities for Azure resources on an Azure VM to acquire an access token". `ver` says which: 1.0 from `sts.windows.net` with
 * `appid`, and `aud` as it was asked for; 2.0 with `azp`, and `aud` always the client id of the API. `uti` takes the place of
 * `jti`; a managed identity's tokens live a day.
 */
import type { PlatformFixture } from './platform.ts'

export const AZURE_TENANT = 'aaaabbbb-0000-cccc-1111-dddd2222eeee'
/** Object id of the managed identity's service principal. */
export const AZURE_OBJECT = 'aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb'
/** Its application id. */
export const AZURE_APPLICATION = '00001111-aaaa-2222-bbbb-3333cccc4444'

const common = {
  aio: 'E2NgYJgQ8nVJ2mW7AA==',
  idp: `https://sts.windows.net/${AZURE_TENANT}/`,
  idtyp: 'app',
  oid: AZURE_OBJECT,
  rh: '1.AXoAKqqqq.',
  sub: AZURE_OBJECT,
  tid: AZURE_TENANT,
  uti: 'fqiBqXLPj0eQa82S-IYFAA',
  xms_mirid:
    '/subscriptions/aaaa0a0a-bb1b-cc2c-dd3d-eeeeee4e4e4e/resourcegroups/agents/providers/Microsoft.Compute/virtualMachines/report',
}

export const azure: PlatformFixture = {
  platform: 'azure',
  issuer: `https://login.microsoftonline.com/${AZURE_TENANT}/v2.0`,
  alg: 'RS256',
  kid: 'nOo3ZDrODXEK1jKWhXslHR_KXEg',
  header: { typ: 'JWT' },
  keyWithoutAlg: {
    x5t: 'nOo3ZDrODXEK1jKWhXslHR_KXEg',
    issuer: `https://login.microsoftonline.com/${AZURE_TENANT}/v2.0`,
  },
  lifetime: 86_400,
  notBefore: 0,
  claims: () => ({ ...common, azp: AZURE_APPLICATION, azpacr: '2', ver: '2.0' }),
}

export const azureV1: PlatformFixture = {
  ...azure,
  issuer: `https://sts.windows.net/${AZURE_TENANT}/`,
  header: { typ: 'JWT', x5t: 'nOo3ZDrODXEK1jKWhXslHR_KXEg' },
  claims: () => ({ ...common, appid: AZURE_APPLICATION, appidacr: '2', ver: '1.0' }),
}

/** What a user's token for the same API has and an application's has not. */
export const AZURE_USER = {
  idtyp: 'user',
  oid: 'cccccccc-4444-5555-6666-dddddddddddd',
  sub: 'AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ',
  scp: 'access_as_user',
  xms_mirid: undefined,
}

/**
 * Kubernetes projected service-account tokens.
 *
 * Source: kubernetes.io, "Managing Service Accounts" (bound service account tokens; its example claims, `node` since 1.32)
 * and "Configure Service Accounts for Pods" (ServiceAccount token volume projection; service account issuer discovery). The
 * API server writes no `typ`, `aud` as a list, `nbf` = `iat`, and for `expirationSeconds: 3600` a life of 3607 s.
 */
import { newJti, type PlatformFixture } from './platform.ts'

export const KUBERNETES_POD = { name: 'report-agent-7c9f', uid: '900f80ed-bafe-49f0-9ae2-c5f0a3ac2cbe' }
export const KUBERNETES_ACCOUNT = { name: 'report-agent', uid: 'a709ef71-30e2-489a-bd19-ade97031b9db' }

export const kubernetes: PlatformFixture = {
  platform: 'kubernetes',
  issuer: 'https://kubernetes.default.svc.cluster.local',
  alg: 'RS256',
  kid: 'OAjVVaejWFc0Yt9ykr0_8lMMuRNs67OXTWHsN02Pkyw',
  header: {},
  listsAudience: true,
  lifetime: 3607,
  notBefore: 0,
  claims: (now) => ({
    jti: newJti(),
    'kubernetes.io': {
      namespace: 'agents',
      node: { name: 'worker-1', uid: '517eb86e-b863-451b-bf70-86cb61439a3a' },
      pod: KUBERNETES_POD,
      serviceaccount: KUBERNETES_ACCOUNT,
      warnafter: now + 3607,
    },
    sub: 'system:serviceaccount:agents:report-agent',
  }),
}

/** The audience of tokens that a pod has without asking: the API server itself. */
export const KUBERNETES_API_SERVER = 'https://kubernetes.default.svc.cluster.local'

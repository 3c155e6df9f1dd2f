// Revoked, or with revocations that were forged, through the whole client and the whole agent.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { revocations as place } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import { listPayload } from '../../shared/revocation/signed-list.ts';
import { testKey } from '../support/keys.ts';
import { listIt, signList, TEAM, TRUST, testList } from '../support/revocations.ts';
import { digest } from '../support/simulator.ts';
import {
  DRIVER_SHA256,
  type Forgery,
  type Scene,
  tryForgeries,
  VENDOR,
} from './forgery-support.ts';

const WHY = { reason: 'CVE-2030-0001: writes past the end of its ring' };
/** The floor that stands in the list of every scene, version 5. */
const FLOORS = new Map([['acme/edu', { generation: 1, reason: 'the first one was bad' }]]);
const next = (change: Partial<RevocationList> = {}, version = 6): RevocationList =>
  testList(version, { floors: FLOORS, ...change });

/** The team's own next list. */
const listing = (change: Partial<RevocationList>) => (scene: Scene) =>
  scene.repository.revoke(next(change));

/** The role is renewed, and lists these bytes. */
const renewed =
  (...sign: Parameters<typeof signList>) =>
  async (scene: Scene): Promise<void> => {
    listIt(scene.sim, await signList(...sign));
    scene.sim.publish(place.role);
  };
const text = new TextDecoder().decode(listPayload(platformCrypto, next(), TRUST));
const reworded = (from: string, to: string) =>
  renewed(next(), { payload: utf8(text.replace(from, to)) });
const stranger = testKey('stranger');

const forgeries: readonly Forgery[] = [
  // What the team revoked.
  {
    name: 'bytes that are denied',
    refused: ['E_REVOKED', 'digest', /edu-driver\.mjs, SHA-256 \w+, is denied/],
    forge: listing({ digests: new Map([[DRIVER_SHA256, WHY]]) }),
  },
  {
    name: 'a ceiling that is denied',
    refused: ['E_REVOKED', 'digest', /a file beside/],
    forge: (scene) =>
      listing({ digests: new Map([[digest('sha256', scene.good.ceiling), WHY]]) })(scene),
  },
  {
    name: 'a generation below the floor',
    refused: ['E_REVOKED', 'generation', /its security generation is 2, and/],
    forge: listing({ floors: new Map([['acme/edu', { generation: 3, ...WHY }]]) }),
  },
  {
    name: 'a denied evidence key',
    refused: ['E_REVOKED', 'key', /the provenance rests on the denied key/],
    forge: listing({ keys: new Map([[VENDOR.keyid, { allowed: [], ...WHY }]]) }),
  },
  {
    name: 'a denied key of the role',
    refused: ['E_REVOKED', 'key', /the role acme rests on the denied key/],
    forge: (scene) => {
      const keyid = scene.sim.signers.get('acme')?.[0]?.keyid as string;
      return listing({ keys: new Map([[keyid, { allowed: ['0'.repeat(64)], ...WHY }]]) })(scene);
    },
  },
  {
    name: 'a generation below the floor that its own vendor raised',
    refused: ['E_REVOKED', 'generation', /its security generation is 2, and/],
    forge: ({ sim, repository }) => {
      const role = sim.role('acme');
      role['x-ironport'] = { ...(role['x-ironport'] as object), generation_floors: { edu: 3 } };
      repository.publish();
    },
  },
  // What is taken back.
  {
    name: 'a list of before',
    refused: ['E_ROLLBACK', 'older', /revocations went back from list 5 to 4/],
    forge: renewed(next({}, 4)),
  },
  {
    name: 'a floor that is lowered',
    refused: ['E_ROLLBACK', 'floor-lowered', /the floor of acme\/edu went back from 1 to 0/],
    forge: renewed(next({ floors: new Map() })),
  },
  {
    name: 'a second list of one version',
    refused: ['E_REVOCATIONS', 'disagree', /there are two lists of version 5/],
    forge: renewed(next({ digests: new Map([['0'.repeat(64), WHY]]) }, 5)),
  },
  {
    name: 'a list of an epoch that nobody declared',
    refused: ['E_REVOCATIONS', 'epoch', /it is of epoch 2, and the targets name/],
    forge: renewed({ ...next(), epoch: 2 }),
  },
  // A list that is not the team's.
  {
    name: 'a renewed role that lists a list of its own hot key',
    refused: ['E_REVOCATIONS', 'signer', /no key of the security team signed it/],
    forge: async (scene) => {
      const hot = scene.sim.signers.get(place.role) ?? [];
      await renewed(next(), { signers: hot })(scene);
    },
  },
  {
    name: 'a list by a stranger',
    refused: ['E_REVOCATIONS', 'signer', /no key of the security team signed it/],
    forge: renewed(next(), { signers: [stranger] }),
  },
  {
    name: 'a list below the threshold of the team',
    refused: ['E_REVOCATIONS', 'threshold', /too few of the security team signed it/],
    forge: renewed(next(), { signers: TEAM.slice(0, 1) }),
  },
  {
    name: 'a list that one of the team signed twice',
    refused: ['E_REVOCATIONS', 'threshold', /too few of the security team signed it/],
    forge: renewed(next(), { signers: [TEAM[0] as never, TEAM[0] as never] }),
  },
  {
    name: 'a list that was made for other keys',
    refused: ['E_REVOCATIONS', 'subject', /it was made under other keys or another/],
    forge: renewed(next(), { trust: { ...TRUST, keys: [...TRUST.keys.slice(1), stranger.key] } }),
  },
  {
    name: 'something else that the team signed',
    refused: ['E_REVOCATIONS', 'predicate-type', /but not as a list/],
    forge: reworded('attestation/revocation/v1', 'attestation/review/v1'),
  },
  {
    name: 'a payload type of somebody else',
    refused: ['E_REVOCATIONS', 'payload-type', /it is no in-toto statement/],
    forge: renewed(next(), { payloadType: 'application/json' }),
  },
  {
    name: 'a list with a JSON key twice',
    refused: ['E_REVOCATIONS', 'unreadable', /it is no in-toto statement/],
    forge: reworded('"epoch":1', '"epoch":1,"epoch":1'),
  },
  // No list, or an old one.
  {
    name: 'a list that nobody renewed',
    refused: ['E_REVOCATIONS_STALE', undefined, /revocations \d+ expired 24 hours ago/],
    forge: ({ sim }) => {
      sim.role(place.role).expires = sim.expiry(-1);
      sim.publish(place.role);
    },
  },
  {
    name: 'a role that lists no list',
    refused: ['E_REVOCATIONS_MISSING', undefined, /there is no list of revocations to judge by/],
    forge: ({ sim }) => {
      sim.role(place.role).targets = {};
      sim.publish(place.role);
    },
  },
  {
    name: 'a team without a role',
    refused: ['E_REVOCATIONS_MISSING', undefined, /there is no list of revocations to judge by/],
    forge: ({ sim }) => {
      const { delegations } = sim.targets;
      const roles = delegations?.roles?.filter(({ name }) => name !== place.role) ?? [];
      if (delegations !== undefined) delegations.roles = roles;
      sim.publish('targets');
    },
  },
];

t.test('forged revocations', (t) => tryForgeries(t, forgeries));

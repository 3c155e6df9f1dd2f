/** Every attack, in the order in which the demo shows them. */

import type { Attack } from './attack.ts';
import { endlessData } from './endless-data.ts';
import { expiredRoot } from './expired-root.ts';
import { fastForward } from './fast-forward.ts';
import { freeze } from './freeze.ts';
import { handoffReplayed } from './handoff-replayed.ts';
import { handoffTampered } from './handoff-tampered.ts';
import { mixAndMatch } from './mix-and-match.ts';
import { revokedArtifact } from './revoked-artifact.ts';
import { rollback } from './rollback.ts';
import { staleRevocations } from './stale-revocations.ts';
import { stolenServer } from './stolen-server.ts';
import { swappedCeiling } from './swapped-ceiling.ts';
import { tamperedArtifact } from './tampered-artifact.ts';
import { tamperedMetadata } from './tampered-metadata.ts';
import { wrongVendor } from './wrong-vendor.ts';

export const ATTACKS: readonly Attack[] = [
  rollback,
  freeze,
  mixAndMatch,
  tamperedArtifact,
  tamperedMetadata,
  wrongVendor,
  stolenServer,
  endlessData,
  expiredRoot,
  swappedCeiling,
  handoffTampered,
  handoffReplayed,
  revokedArtifact,
  staleRevocations,
  fastForward,
];

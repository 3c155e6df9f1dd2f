/** A vendor in a simulator, with artifacts that have all their evidence. */

import { readFileSync } from 'node:fs';
import { toHex } from '../../shared/bytes.ts';
import { BUILD_TYPES, BUILDERS } from '../../shared/evidence/identifiers.ts';
import { buildEvidenceKeys } from '../../shared/evidence/keys.ts';
import { type EvidenceRequest, makeEvidence } from '../../shared/evidence/make.ts';
import { handBuiltProvenance } from '../../shared/evidence/provenance.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { type Sidecar, sidecarPath } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { parseHardwareId } from '../../shared/tuf/hardware-id.ts';
import { EXTENSION_FIELD, vendorsField } from '../../shared/tuf/vendors.ts';
import { testKey } from './keys.ts';
import type { Simulator } from './simulator.ts';

export const EDU = 'acme/edu/1.0.0/edu.js';

/** The ceiling of the example driver, which is for PCI:0x1234:0x11e8. */
export const CEILING = parseJson(
  readFileSync(new URL('../../examples/edu/ceiling.json', import.meta.url)),
  { length: 65_536 },
) as JsonObject;

export interface VendorOptions {
  readonly hardware?: readonly string[];
}

/** Delegates to a vendor and gives it hardware, as the operators do. */
export function addVendor(sim: Simulator, name: string, options: VendorOptions = {}): void {
  sim.delegate('targets', name, { paths: [`${name}/*/*/*`], terminating: true });
  sim.role(name)[EXTENSION_FIELD] = buildEvidenceKeys({
    active: [testKey(`${name} evidence`).key],
    retired: [],
  });
  const hardware = options.hardware ?? ['PCI:0x1234:0x11e8'];
  const vendor = {
    name,
    hardwareIds: hardware.map(parseHardwareId),
    apiKeys: [],
    contact: `security@${name}.example`,
  };
  const added = vendorsField([vendor]);
  const before = sim.targets[EXTENSION_FIELD] as { vendors: object } | undefined;
  sim.targets[EXTENSION_FIELD] = {
    ...before,
    vendors: { ...before?.vendors, ...(added.vendors as JsonObject) },
  };
}

/** Lists an artifact and its sidecars in its vendor's role; returns what was listed. */
export async function addArtifact(
  sim: Simulator,
  path: string,
  bytes: Uint8Array,
  change: Partial<EvidenceRequest> = {},
): Promise<ReadonlyMap<Sidecar, Uint8Array>> {
  const vendor = path.slice(0, path.indexOf('/'));
  const made = await makeEvidence(platformCrypto, {
    artifact: { path, length: bytes.length, sha256: toHex(platformCrypto.sha256(bytes)) },
    generation: 1,
    ceilingPredicate: CEILING,
    provenancePredicate: handBuiltProvenance({
      buildType: BUILD_TYPES.byHand,
      externalParameters: { source: 'git+https://git.acme.example/edu' },
      builderId: BUILDERS.byHand,
    }),
    signer: testKey(`${vendor} evidence`),
    now: 0,
    ...change,
  });
  const { custom, ...sidecars } = made;
  sim.addTarget(vendor, path, bytes, { ironport: custom });
  const listed = Object.entries(sidecars) as [Sidecar, Uint8Array][];
  for (const [sidecar, file] of listed) sim.addTarget(vendor, sidecarPath(path, sidecar), file);
  return new Map(listed);
}

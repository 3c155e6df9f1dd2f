/**
 * Verifies the evidence in a file, one artifact after the other, and says how long that took without
 * the start of the process and the reading: `node verify.cjs FILE`, from a bundle as programs are.
 */

import { readFileSync } from 'node:fs';
import { deserialize } from 'node:v8';
import { keyFromSpki } from '../../shared/crypto/key.ts';
import { verifyEvidence } from '../../shared/evidence/evidence.ts';
import { judgePolicy } from '../../shared/evidence/policy/judge.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { parseCeiling } from '../../shared/manifest/ceiling.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { Written } from './evidence.ts';

export function main([file = '']: readonly string[]): number {
  const { spki, all } = deserialize(readFileSync(file)) as Written;
  const evidenceKeys = { active: [keyFromSpki('ed25519', spki)], retired: [] };
  const customs = all.map(({ custom }) => JSON.parse(custom) as JsonValue);

  const [began, cpu] = [performance.now(), process.cpuUsage()];
  let packages = 0;
  for (const [i, { artifact, sidecars }] of all.entries()) {
    const custom = new Node(customs[i] as JsonValue, 'custom.ironport');
    const evidence = verifyEvidence(crypto, { artifact, custom, sidecars, evidenceKeys });
    parseCeiling(evidence.ceiling);
    const asked = { crypto, evidence, vendorKeys: evidenceKeys, now: 1_900_000_000 };
    judgePolicy(undefined, { ...asked, sha256: artifact.sha256, length: artifact.length });
    packages += evidence.sbom.packages.length;
  }
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const cpuSeconds = (user + system) / 1e6;
  process.stdout.write(JSON.stringify({ seconds, cpuSeconds, artifacts: all.length, packages }));
  return 0;
}

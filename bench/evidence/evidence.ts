/** Evidence of artifacts that do not exist, signed for real, in one file that a process reads whole. */

import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { serialize } from 'node:v8';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { keyFromSpki } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { type Bill, billDigest, type Component } from '../../shared/evidence/bill/bill.ts';
import { writeSpdx2 } from '../../shared/evidence/bill/write-spdx2.ts';
import { BUILD_TYPES, BUILDERS } from '../../shared/evidence/identifiers.ts';
import { makeEvidence } from '../../shared/evidence/make.ts';
import { handBuiltProvenance } from '../../shared/evidence/provenance.ts';
import { formatPurl } from '../../shared/evidence/purl.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';

/** What a host has of one artifact once TUF is done. */
export interface Given {
  readonly artifact: { readonly path: string; readonly length: number; readonly sha256: string };
  /** `custom.ironport` of its entry, as text. */
  readonly custom: string;
  readonly sidecars: Readonly<Record<'ceiling' | 'statements' | 'sbom' | 'bundle', Uint8Array>>;
}

export interface Written {
  /** The vendor's evidence key. */
  readonly spki: Uint8Array;
  readonly all: readonly Given[];
}

const NOW = 1_900_000_000;

/** Writes the evidence of `count` artifacts, each with a bill of `packages`. */
export async function writeEvidence(file: string, count: number, packages: number): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }));
  const signer: Signer = {
    key: keyFromSpki('ed25519', spki),
    sign: async (message) => sign(null, message, privateKey),
  };
  const ceiling = new URL('../../examples/edu/ceiling.json', import.meta.url);
  const all: Given[] = [];
  for (let i = 0; i < count; i++) {
    const path = `acme/product-${i}/1.0.0/driver.ko`;
    const bytes = utf8(`the driver at ${path}`);
    const artifact = { path, length: bytes.length, sha256: sha256(bytes) };
    const { custom, ...sidecars } = await makeEvidence(crypto, {
      artifact,
      generation: 1,
      ceilingPredicate: JSON.parse(readFileSync(ceiling, 'utf8')),
      provenancePredicate: handBuiltProvenance({
        buildType: BUILD_TYPES.byHand,
        externalParameters: { product: `product-${i}`, version: '1.0.0' },
        builderId: BUILDERS.byHand,
      }),
      sbom: bill(artifact.sha256, packages),
      signer,
      now: NOW,
    });
    all.push({ artifact, custom: JSON.stringify(custom), sidecars });
  }
  writeFileSync(file, serialize({ spki, all } satisfies Written));
}

function bill(digest: string, packages: number): Uint8Array {
  const component = (i: number): Component => ({
    id: i === 0 ? 'Package' : `Package-${i}`,
    name: `package-${i}`,
    version: `1.${i}.0`,
    purpose: 'library',
    sha256: i === 0 ? digest : sha256(utf8(`package ${i}`)),
    purl: formatPurl({ type: 'generic', name: `package-${i}`, version: `1.${i}.0` }),
    licence: 'GPL-2.0-only OR MIT',
    facts: [],
    needs: i === 0 || i + 1 >= packages ? [] : [`Package-${i + 1}`],
  });
  const components = Array.from({ length: packages }, (_, i) => component(i));
  const made: Bill = { created: NOW, supplier: 'acme', components, files: [], otherLicences: [] };
  return writeSpdx2(made, billDigest(crypto, made));
}

const sha256 = (bytes: Uint8Array): string => toHex(createHash('sha256').update(bytes).digest());

/** Evidence for one artifact: what is read, measured, made and signed before anything is sent. */

import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { toHex } from '../shared/bytes.ts';
import type { CommandContext, OptionSpec } from '../shared/cli/command.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError } from '../shared/errors.ts';
import { verifyEvidence } from '../shared/evidence/evidence.ts';
import { BUILD_TYPES, BUILDERS } from '../shared/evidence/identifiers.ts';
import { type MadeEvidence, makeEvidence } from '../shared/evidence/make.ts';
import { handBuiltProvenance } from '../shared/evidence/provenance.ts';
import { Node } from '../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../shared/json/value.ts';
import { SIDECARS, type Sidecar, sidecarOf, sidecarPath } from '../shared/layout.ts';
import { EVIDENCE_LIMITS, SERVER_LIMITS } from '../shared/limits.ts';
import { type Ceiling, parseCeiling } from '../shared/manifest/ceiling.ts';
import { lintCeiling } from '../shared/manifest/lint-ceiling.ts';
import { systemClock } from '../shared/node/clock.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { onPath } from '../shared/node/file-system.ts';
import { readFileCapped, readJsonFile } from '../shared/node/files.ts';
import { hashFile } from '../shared/node/hash.ts';
import { promptFiles } from '../shared/node/prompt-files.ts';
import { type FileMeta, targetEntry } from '../shared/tuf/build.ts';
import { coversDevice, formatHardwareId } from '../shared/tuf/hardware-id.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import type { VendorConfig } from './config.ts';
import { type GivenProvenance, loadGivenProvenance, requireAbout } from './given-provenance.ts';
import { moduleSignatureClaim } from './module-signature.ts';
import { loadStated, type Stated, type StatedFiles, statedFiles } from './stated.ts';

/** What `attest` and `publish` both want to know of an artifact. */
export const ARTIFACT_OPTIONS: readonly OptionSpec[] = [
  { flags: '-p, --product <name>', description: 'the product it belongs to', required: true },
  { flags: '--version <version>', description: 'its version', required: true },
  {
    flags: '-c, --ceiling <file>',
    description: 'the most that the driver may ever be granted (resource ceiling, JSON)',
    required: true,
  },
  {
    flags: '--provenance <file>',
    description:
      'SLSA provenance v1 of the builder: the predicate, or its statement, signed or not; without it, "built by hand"',
  },
  {
    flags: '--sbom <file>',
    description:
      'a bill of materials of the artifact: SPDX in place of the least that is true, or CycloneDX beside it',
  },
  {
    flags: '--test-result <file>',
    description: 'what a run of tests came to: in-toto test-result v0.1 predicate',
    repeatable: true,
  },
  {
    flags: '--release <purl>',
    description:
      'state that the package of this package URL, at the version in it, is this file (in-toto release v0.1)',
  },
  {
    flags: '--module-certificate <file>',
    description:
      'certificate (PEM or DER) that the signature at the end of a kernel module must verify by',
    repeatable: true,
  },
  { flags: '--as <name>', description: 'file name to publish under, if not that of FILE' },
];

/** An artifact on this disk and what is claimed of it. */
export interface Claim {
  readonly file: string;
  /** `<vendor>/<product>/<version>/<file>`. */
  readonly path: string;
  readonly ceiling: Ceiling;
  readonly ceilingTree: JsonObject;
  readonly provenance: GivenProvenance;
  readonly stated: Stated;
}

/** What a vendor says of an artifact, in options or in a line of a list. */
export interface Said {
  readonly file: string;
  readonly product: string;
  readonly version: string;
  readonly ceiling: string;
  readonly provenance?: string | undefined;
  readonly as?: string | undefined;
  readonly stated: StatedFiles;
}

/** Ceilings by the path of their file: many artifacts of a list have one. */
export type Ceilings = Map<string, Pick<Claim, 'ceiling' | 'ceilingTree'>>;

/** Reads the options and the small files. Nothing of the artifact is read yet. */
export async function loadClaim(context: CommandContext, config: VendorConfig): Promise<Claim> {
  return await loadSaid(context, config, {
    file: context.args[0] as string,
    product: context.need('product'),
    version: context.need('version'),
    ceiling: context.need('ceiling'),
    provenance: context.text('provenance'),
    as: context.text('as'),
    stated: statedFiles(context),
  });
}

/**
 * The same of what was said elsewhere.
 * @param ceilings those that were read before
 */
export async function loadSaid(
  context: CommandContext,
  config: VendorConfig,
  said: Said,
  ceilings: Ceilings = new Map(),
): Promise<Claim> {
  const { file, product, version, ceiling: ceilingPath } = said;
  const path = `${config.vendor}/${product}/${version}/${said.as ?? basename(file)}`;
  parseArtifactPath(path);
  if (sidecarOf(path) !== undefined)
    throw new IronError('E_NAME', `${path} has the name of evidence, not of an artifact`, {
      hint: 'nothing was signed; give another name with --as',
    });
  const known = ceilings.get(ceilingPath) ?? (await loadCeiling(context, config, ceilingPath));
  ceilings.set(ceilingPath, known);
  return {
    file,
    path,
    ...known,
    provenance: await loadProvenance(context, said),
    stated: await loadStated(said.stated, path),
  };
}

async function loadCeiling(
  context: CommandContext,
  config: VendorConfig,
  path: string,
): Promise<Pick<Claim, 'ceiling' | 'ceilingTree'>> {
  const node = new Node(await readJsonFile(path, EVIDENCE_LIMITS.ceiling), path);
  const ceiling = parseCeiling(node);
  for (const advice of lintCeiling(ceiling)) context.ui.note(`${path}: ${advice}`);
  refuseForeignHardware(config, ceiling);
  return { ceiling, ceilingTree: node.object() };
}

/** The operators and every host would refuse it; better to hear of it here. */
function refuseForeignHardware({ vendor, hardwareIds }: VendorConfig, ceiling: Ceiling): void {
  for (const match of ceiling.devices) {
    if (hardwareIds.some((id) => coversDevice(id, match))) continue;
    const id = formatHardwareId({ bus: 'PCI', vendor: match.vendor, device: match.device });
    throw new IronError('E_NOT_AUTHORISED', `${vendor} has no claim to the hardware ${id}`, {
      why: `vendor.json names ${hardwareIds.map(formatHardwareId).join(', ') || 'none'}`,
      hint: 'nothing was signed; the operators bind vendors to hardware when they admit them',
    });
  }
}

async function loadProvenance(
  { ui }: CommandContext,
  { provenance: path, product, version }: Said,
): Promise<GivenProvenance> {
  if (path !== undefined) {
    const given = await loadGivenProvenance(path);
    if (given.isSigned)
      ui.note(`${path}: the signature of its builder is not verified here, and not published`);
    return given;
  }
  const predicate = handBuiltProvenance({
    buildType: BUILD_TYPES.byHand,
    externalParameters: jsonObject([
      ['product', product],
      ['version', version],
    ]),
    builderId: BUILDERS.byHand,
  });
  return { predicate, isSigned: false };
}

/** A small artifact, read once: what is measured is what is attested and sent. */
export async function readArtifact(
  file: string,
  cap: number,
): Promise<{ readonly measured: FileMeta; readonly bytes: Uint8Array }> {
  const bytes = await readFileCapped(file, cap, { files: promptFiles });
  const sha256 = toHex(crypto.sha256(bytes));
  return { measured: { length: bytes.length, sha256 }, bytes };
}

/** Measures the artifact, in one pass, with progress. */
export async function measureArtifact(context: CommandContext, file: string): Promise<FileMeta> {
  const { size } = await onPath(file, () => stat(file), 'E_NOT_FOUND');
  const progress = context.ui.progress(`hashing ${basename(file)}`, size);
  const measured = await hashFile(file, {
    signal: context.signal,
    cap: SERVER_LIMITS.artifact,
    onBytes: (count) => progress.advance(count),
  });
  progress.done();
  return measured;
}

export interface Attested {
  readonly evidence: MadeEvidence;
  /** Entries of the role, by path: the artifact's first, then its sidecars'. */
  readonly entries: ReadonlyMap<string, JsonObject>;
  readonly sidecars: readonly SidecarFile[];
}

export interface SidecarFile extends FileMeta {
  readonly sidecar: Sidecar;
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * Makes and signs the evidence for a measured artifact.
 * @param held its bytes, where they are at hand
 */
export async function attestArtifact(
  claim: Claim,
  measured: FileMeta,
  signer: Signer,
  held?: Uint8Array,
): Promise<Attested> {
  const { stated } = claim;
  requireAbout(claim.provenance, claim.file, measured);
  const signature = await moduleSignatureClaim(
    ...([claim.file, measured, stated.certificates, held] as const),
  );
  const evidence = await makeEvidence(crypto, {
    artifact: { path: claim.path, ...measured },
    generation: claim.ceiling.generation,
    ceilingPredicate: claim.ceilingTree,
    provenancePredicate: claim.provenance.predicate,
    also: [...stated.claims, ...(signature === undefined ? [] : [signature])],
    ...(stated.sbom !== undefined && { sbom: stated.sbom }),
    signer,
    now: systemClock(),
  });
  // As a host will read it: two test results that contradict each other stop here, and not there.
  const { custom: listed, ...files } = evidence;
  verifyEvidence(crypto, {
    artifact: { path: claim.path, ...measured },
    custom: new Node(listed, 'custom.ironport'),
    sidecars: files,
    evidenceKeys: { active: [signer.key], retired: [] },
  });
  const sidecars = (Object.keys(SIDECARS) as Sidecar[]).map((sidecar): SidecarFile => {
    const bytes = evidence[sidecar];
    const sha256 = toHex(crypto.sha256(bytes));
    return { sidecar, path: sidecarPath(claim.path, sidecar), bytes, length: bytes.length, sha256 };
  });
  const custom = jsonObject([['ironport', evidence.custom]]);
  const entries = new Map([
    [claim.path, targetEntry(measured, custom)],
    ...sidecars.map((file) => [file.path, targetEntry(file)] as const),
  ]);
  return { evidence, entries, sidecars };
}

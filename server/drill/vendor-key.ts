/** The rehearsal of what follows when a vendor's key is stolen: stopped at once, then exchanged. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { admissionFingerprint, makeAdmission, parseAdmission } from '../../shared/api/admission.ts';
import { formatResignedRole, type ResignedBin } from '../../shared/api/resigned-role.ts';
import { toHex } from '../../shared/bytes.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { formatInstant, HOUR } from '../../shared/time.ts';
import { formatMetadata, sign, succinctTree, withFields } from '../../shared/tuf/build.ts';
import { binNames } from '../../shared/tuf/delegations.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import type { Published } from '../storage/published.ts';
import { LIFE } from './online-keys.ts';
import type { Rehearsal } from './rehearsal.ts';

/**
 * The vendor itself is not here: keys that are made for the rehearsal stand for its new ones, and
 * sign its role again as it would.
 * @param name the vendor; undefined for the first that has published something
 */
export async function exchangeVendorKeys(it: Rehearsal, name: string | undefined): Promise<string> {
  const before = await it.published();
  const paths = await it.paths(before);
  const steady = it.newcomer(before);
  await it.holds('a host, before', () => steady.read([it.tree], paths));
  const { vendor, threshold } = await victim(before, name);

  await it.steps.run('vendor', 'suspend', vendor, '--dir', it.home);
  const { request, fingerprint, role } = await standIn(it, before, vendor, threshold);
  const next = before.targets.version + 1;
  const targets = join(it.work, `${next}.targets.json`);
  await it.steps.run(
    ...['vendor', 'rotate-keys', request, '--fingerprint', fingerprint],
    ...['--targets', join(it.tree, tree.metadata('targets', next - 1))],
    ...['--root', join(it.tree, tree.metadata('root', before.root.version))],
    ...it.keys.targets.flatMap((key) => ['--key', key]),
    ...['--expires-in', LIFE, '--out', targets, '--yes'],
  );
  await it.steps.run('submit', targets, role, '--dir', it.home);
  await it.steps.run('vendor', 'suspend', vendor, '--lift', '--dir', it.home);
  it.recovered = it.steps.seconds;
  await it.wholeTree();

  await it.holds('a host, after', () => steady.read([it.tree], paths));
  const after = await it.published();
  await it.holds('a host that begins at root 1', () => it.newcomer(after).read([it.tree], paths));
  const old = keysOf(before, vendor);
  const left = [...keysOf(after, vendor)].filter((key) => old.has(key));
  it.checks.push({
    what: 'the stolen key, after',
    ok: left.length === 0,
    detail: left.length === 0 ? `no old key signs for ${vendor}` : 'an old key still signs',
  });
  return vendor;
}

interface Victim {
  readonly vendor: string;
  readonly threshold: number;
}

async function victim(published: Published, name: string | undefined): Promise<Victim> {
  for (const { name: vendor, threshold } of published.delegations?.roles ?? []) {
    if (!published.vendors.has(vendor) || (name !== undefined && name !== vendor)) continue;
    if ((await published.role(vendor)) !== undefined) return { vendor, threshold };
  }
  throw new IronError('E_NOT_FOUND', `${name ?? 'no vendor'} has published nothing`, {
    hint: 'nothing was rehearsed; name a vendor with --vendor, or leave this rehearsal out with --only',
  });
}

/** The request and the role of a vendor that made new keys. */
async function standIn(it: Rehearsal, published: Published, vendor: string, threshold: number) {
  const signers: Signer[] = [];
  const made = async (what: string): Promise<Signer> => {
    const path = join(it.work, `${vendor}-${what}.json`);
    await writeNewKey(path, 'ed25519', { created: systemClock() });
    return await loadFileSigner(path);
  };
  for (let i = 1; i <= threshold; i++) signers.push(await made(`tuf-${i}`));
  const { hardwareIds, contact } = published.vendors.get(vendor) ?? {
    hardwareIds: [],
    contact: '',
  };
  const bytes = await makeAdmission(
    crypto,
    { vendor, hardwareIds, contact, threshold },
    { tuf: signers, evidence: [await made('evidence')], api: [await made('api')] },
  );
  const request = join(it.work, `${vendor}.admission.json`);
  await writeFile(request, bytes);
  const standing = (await published.role(vendor))?.targets;
  if (standing === undefined) throw new IronError('E_INTERNAL', 'a vendor without a role');
  const role = join(it.work, `${vendor}.json`);
  await writeFile(role, await signedAgain(it, published, standing, { signers, threshold }));
  return { request, fingerprint: admissionFingerprint(crypto, parseAdmission(bytes)), role };
}

interface NewSigners {
  readonly signers: readonly Signer[];
  readonly threshold: number;
}

/** The role as it stands, by the new keys; with bins, all of them in one file, as a vendor sends it. */
async function signedAgain(
  { context }: Rehearsal,
  published: Published,
  standing: Targets,
  { signers, threshold }: NewSigners,
): Promise<Uint8Array> {
  const again = async (file: Targets, change: JsonObject = {}): Promise<Uint8Array> => {
    const version = file.version + 1;
    const expires = formatInstant(systemClock() + HOUR);
    const tree = withFields(file.envelope.tree, { ...change, version, expires });
    return formatMetadata(tree, await sign(crypto, tree, signers));
  };
  const { succinct } = standing.delegations ?? {};
  if (succinct === undefined) return await again(standing);
  const spec = { keys: signers.map(({ key }) => key), threshold };
  const delegations = succinctTree(crypto, spec, succinct.bitLength, succinct.namePrefix);
  const bins: ResignedBin[] = [];
  let length = 0;
  for (const name of binNames(succinct)) {
    const bin = (await published.role(name))?.targets;
    if (bin === undefined) throw new IronError('E_INTERNAL', `the bin ${name} is not there`);
    const bytes = await again(bin);
    bins.push({ role: name, sha256: toHex(crypto.sha256(bytes)), bytes });
    length += bytes.length;
    if (length < METADATA_LIMITS.targets / 2) continue;
    context.ui.note(
      'its bins are too much for one file: a vendor uploads them, which is not rehearsed',
    );
    return await again(standing);
  }
  return formatResignedRole({ role: await again(standing, { delegations }), bins });
}

/** Those that sign its role, or its requests. */
function keysOf(published: Published, vendor: string): Set<string> {
  const role = published.delegation(vendor);
  const keys = published.delegations?.keys;
  const api = published.vendors.get(vendor)?.apiKeys.map(keyIdentity) ?? [];
  return new Set([
    ...(role === undefined || keys === undefined ? [] : keyIdentities(keys, role)),
    ...api,
  ]);
}

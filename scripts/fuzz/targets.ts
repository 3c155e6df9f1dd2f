/**
 * Every parser of bytes, by file and name. A test compares this with the sources: who adds a
 * `parse…(bytes)` adds a row, or says why it has none.
 */

import { parseAuditHead } from '../../agent/audit-heads.ts';
import { parseBinding } from '../../agent/binding.ts';
import { parseReport } from '../../agent/broker/report.ts';
import { parseAccepted } from '../../agent/entry.ts';
import { parseHolderNote } from '../../agent/helper/holder-note.ts';
import { parseJournal } from '../../agent/journal.ts';
import { parseKept } from '../../agent/kept.ts';
import { parseIncident } from '../../agent/quarantine/incident.ts';
import { parseUpgrade } from '../../agent/upgrade-note.ts';
import { parseVfSet } from '../../agent/vfs/set.ts';
import { parseAerCounters } from '../../agent/watch/aer.ts';
import { parseCrashes } from '../../agent/watch/crashes.ts';
import { parseDpc } from '../../agent/watch/dpc.ts';
import { parseKernelRecord, readFault, readSuppressed } from '../../agent/watch/kernel-record.ts';
import { parseAnswer } from '../../agent/wire/answer.ts';
import { parseRequest } from '../../agent/wire/request.ts';
import { parseIndex as parseBundleIndex, parseHeader } from '../../client/bundle/format.ts';
import { parseWatchList } from '../../client/watch/list-file.ts';
import { parsePattern } from '../../publisher/pipeline/pattern/pattern.ts';
import { parseAbout, parseFile, parseHead } from '../../server/backup/manifest.ts';
import { parseCeremonyFile, readCeremony } from '../../server/ceremony/ceremony-file.ts';
import { parseWebhook } from '../../server/jobs/webhook.ts';
import { parseAdmission } from '../../shared/api/admission.ts';
import { parseBatch } from '../../shared/api/blob-batch.ts';
import { parseResignedRole } from '../../shared/api/resigned-role.ts';
import { parseBundle } from '../../shared/evidence/bundle.ts';
import { parseCycloneDx } from '../../shared/evidence/cyclonedx.ts';
import { parseEnvelope } from '../../shared/evidence/dsse.ts';
import { parseCertificateIds } from '../../shared/evidence/elf/certificate.ts';
import { parseElf } from '../../shared/evidence/elf/elf.ts';
import { parseSignedModule } from '../../shared/evidence/elf/signed-module.ts';
import { parseHostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { parsePolicyFloor } from '../../shared/evidence/policy/policy-floor.ts';
import { parseFleetKeys } from '../../shared/evidence/policy/signed-policy.ts';
import { parseSigstoreBundle } from '../../shared/evidence/sigstore-bundle.ts';
import { parseSpdx } from '../../shared/evidence/spdx.ts';
import { parseSpdx3 } from '../../shared/evidence/spdx3.ts';
import { parseStatement } from '../../shared/evidence/statement.ts';
import { parseRecord } from '../../shared/handoff/record.ts';
import { parseJson, parseSigned } from '../../shared/json/read.ts';
import { parseIsm2 } from '../../shared/manifest/ism2.ts';
import { parseManifestJson } from '../../shared/manifest/manifest-json.ts';
import { parseInterrupts } from '../../shared/manifest/pci.ts';
import { parsePolicy } from '../../shared/manifest/policy.ts';
import { parseRelease, parseReleaseDraft } from '../../shared/manifest/quarantine.ts';
import { parseStandingPolicy } from '../../shared/manifest/signed-policy.ts';
import {
  isPublicKeyFile,
  parseKeyFile,
  parsePublicHalf,
} from '../../shared/node/signers/key-file.ts';
import { parseKeyReference } from '../../shared/node/signers/key-reference.ts';
import { parseIndex } from '../../shared/product/index-file.ts';
import { parseProductPolicy } from '../../shared/product/product-policy.ts';
import { parseRoleFile } from '../../shared/tuf/diff/trust-diff.ts';
import { parseMapFile } from '../../shared/tuf/map-file.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import { parseFloors } from '../../shared/verify/floors.ts';
import { parseNote } from '../../shared/verify/unread.ts';

export interface Target {
  /** `FILE#NAME`. */
  readonly name: string;
  /** Which good files it begins with; the others are mixed in. */
  readonly seeds: readonly string[];
  readonly parse: (bytes: Uint8Array) => unknown;
}

const target = (
  name: string,
  seeds: readonly string[],
  parse: (bytes: Uint8Array) => unknown,
): Target => ({ name, seeds, parse });

const LIMIT = { length: 2 * 1024 * 1024 };

export const TARGETS: readonly Target[] = [
  target('shared/json/read.ts#parseJson', ['sbom', 'root'], (bytes) => parseJson(bytes, LIMIT)),
  target('shared/json/read.ts#parseSigned', ['root', 'role'], (bytes) =>
    parseSigned(bytes, LIMIT, 'signed'),
  ),
  target('shared/tuf/root.ts#parseRoot', ['root'], parseRoot),
  target('shared/tuf/timestamp.ts#parseTimestamp', ['timestamp'], parseTimestamp),
  target('shared/tuf/snapshot.ts#parseSnapshot', ['snapshot'], (bytes) => parseSnapshot(bytes)),
  target('shared/tuf/targets.ts#parseTargets', ['targets', 'role'], (bytes) =>
    parseTargets(bytes, 'acme'),
  ),
  target('shared/tuf/diff/trust-diff.ts#parseRoleFile', ['root', 'targets'], (bytes) =>
    parseRoleFile(bytes, 'file'),
  ),
  target('shared/tuf/map-file.ts#parseMapFile', ['map'], parseMapFile),
  target('shared/verify/floors.ts#parseFloors', ['floors'], parseFloors),
  target('shared/verify/unread.ts#parseNote', ['floors'], parseNote),
  target('shared/evidence/dsse.ts#parseEnvelope', ['ceiling'], (bytes) => parseEnvelope(bytes)),
  // A statement is read out of an envelope; the bytes here are its payload.
  target('shared/evidence/statement.ts#parseStatement', ['sbom', 'ceiling'], (payload) =>
    parseStatement({ payloadType: 'application/vnd.in-toto+json', payload, signatures: [] }),
  ),
  target('shared/evidence/bundle.ts#parseBundle', ['statements'], parseBundle),
  target('shared/evidence/sigstore-bundle.ts#parseSigstoreBundle', ['bundle'], parseSigstoreBundle),
  target('shared/evidence/spdx.ts#parseSpdx', ['sbom'], parseSpdx),
  target('shared/evidence/spdx3.ts#parseSpdx3', ['spdx3'], parseSpdx3),
  target('shared/evidence/cyclonedx.ts#parseCycloneDx', ['cyclonedx'], parseCycloneDx),
  target('shared/evidence/elf/elf.ts#parseElf', ['module', 'library'], parseElf),
  target('shared/evidence/elf/signed-module.ts#parseSignedModule', ['module'], parseSignedModule),
  target(
    'shared/evidence/elf/certificate.ts#parseCertificateIds',
    ['certificate'],
    parseCertificateIds,
  ),
  target('shared/evidence/policy/host-policy.ts#parseHostPolicy', ['host-policy'], parseHostPolicy),
  target(
    'shared/evidence/policy/policy-floor.ts#parsePolicyFloor',
    ['policy-floor'],
    parsePolicyFloor,
  ),
  target('shared/evidence/policy/signed-policy.ts#parseFleetKeys', ['fleet-keys'], parseFleetKeys),
  target('shared/handoff/record.ts#parseRecord', ['root'], parseRecord),
  target('shared/manifest/policy.ts#parsePolicy', ['policy'], parsePolicy),
  target(
    'shared/manifest/signed-policy.ts#parseStandingPolicy',
    ['standing-policy'],
    parseStandingPolicy,
  ),
  target('agent/wire/request.ts#parseRequest', ['request'], parseRequest),
  target('agent/wire/answer.ts#parseAnswer', ['answer'], parseAnswer),
  target('shared/manifest/manifest-json.ts#parseManifestJson', ['policy'], parseManifestJson),
  target('shared/manifest/quarantine.ts#parseRelease', ['release'], parseRelease),
  target('shared/manifest/quarantine.ts#parseReleaseDraft', ['release'], parseReleaseDraft),
  target('shared/manifest/ism2.ts#parseIsm2', ['ism2'], parseIsm2),
  target('shared/manifest/pci.ts#parseInterrupts', ['config'], parseInterrupts),
  target(
    'shared/product/product-policy.ts#parseProductPolicy',
    ['product-policy'],
    parseProductPolicy,
  ),
  target('shared/product/index-file.ts#parseIndex', ['role'], (bytes) =>
    parseIndex(bytes, 'acme/edu/index/index.json'),
  ),
  target('shared/api/admission.ts#parseAdmission', ['role'], parseAdmission),
  target('server/ceremony/ceremony-file.ts#parseCeremonyFile', ['ceremony'], (bytes) => {
    const files = parseCeremonyFile(bytes, 'ceremony.json');
    return readCeremony(files);
  }),
  target('shared/api/resigned-role.ts#parseResignedRole', ['ceremony'], parseResignedRole),
  target('shared/api/blob-batch.ts#parseBatch', ['config'], parseBatch),
  target('shared/node/signers/key-file.ts#parseKeyFile', ['key'], (bytes) => parseKeyFile(bytes)),
  target('shared/node/signers/key-file.ts#parsePublicHalf', ['public-key', 'key'], (bytes) => {
    isPublicKeyFile(bytes);
    return parsePublicHalf(bytes);
  }),
  target('shared/node/signers/key-reference.ts#parseKeyReference', ['public-key'], (bytes) =>
    parseKeyReference(bytes, 'key'),
  ),
  target('publisher/pipeline/pattern/pattern.ts#parsePattern', ['pattern'], (bytes) =>
    parsePattern(bytes),
  ),
  target('client/bundle/format.ts#parseHeader', ['config'], parseHeader),
  target('client/bundle/format.ts#parseIndex', ['role'], parseBundleIndex),
  target('client/watch/list-file.ts#parseWatchList', ['watch-list', 'map'], parseWatchList),
  target('server/backup/manifest.ts#parseHead', ['config'], parseHead),
  target('server/backup/manifest.ts#parseAbout', ['config', 'role'], parseAbout),
  target('server/backup/manifest.ts#parseFile', ['config', 'role'], parseFile),
  target('server/jobs/webhook.ts#parseWebhook', ['config'], parseWebhook),
  target('agent/audit-heads.ts#parseAuditHead', ['ceiling'], parseAuditHead),
  target('agent/binding.ts#parseBinding', ['policy'], parseBinding),
  target('agent/broker/report.ts#parseReport', ['report'], parseReport),
  target('agent/entry.ts#parseAccepted', ['policy'], parseAccepted),
  target('agent/helper/holder-note.ts#parseHolderNote', ['incident', 'policy'], parseHolderNote),
  target('agent/kept.ts#parseKept', ['incident', 'policy'], parseKept),
  target('agent/upgrade-note.ts#parseUpgrade', ['incident', 'policy'], parseUpgrade),
  target('agent/quarantine/incident.ts#parseIncident', ['incident'], parseIncident),
  target('agent/vfs/set.ts#parseVfSet', ['policy'], parseVfSet),
  target('agent/watch/aer.ts#parseAerCounters', ['aer'], parseAerCounters),
  target('agent/watch/crashes.ts#parseCrashes', ['crashes'], parseCrashes),
  target('agent/watch/dpc.ts#parseDpc', ['config'], parseDpc),
  target('agent/watch/kernel-record.ts#parseKernelRecord', ['kernel-record'], (bytes) => {
    const { message } = parseKernelRecord(bytes);
    return [readFault(message), readSuppressed(message)];
  }),
  target('agent/journal.ts#parseJournal', ['statements'], parseJournal),
];

/** Parsers of bytes without a row, and why. */
export const WITHOUT: Readonly<Record<string, string>> = {
  'shared/tuf/envelope.ts#parseEnvelope': 'every role of TUF above goes through it',
  'publisher/pipeline/pattern/pattern.ts#parseToml': 'parsePattern goes through it',
};

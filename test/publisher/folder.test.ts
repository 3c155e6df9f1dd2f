import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { program } from '../../publisher/main.ts';
import { parseAdmission, verifyAdmission } from '../../shared/api/admission.ts';
import { verifyEvidence } from '../../shared/evidence/evidence.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { run } from '../cli/support.ts';
import { CEILING, ironport, vendor } from './support.ts';

const DIR = t.testdir({ 'edu.js': 'driver', 'ceiling.json': JSON.stringify(CEILING) });
const at = (...parts: string[]): string => join(DIR, ...parts);
const INIT = ['--contact', 'security@acme.example', '--hardware-id', 'PCI:0x1234:0x11e8'];
const init = (dir: string, ...more: string[]) =>
  ironport('init', '--vendor', 'acme', '--dir', at(dir), ...INIT, ...more);

await init('acme');

t.test('init makes three lists of keys in a folder of its own', async (t) => {
  t.equal((await stat(at('acme'))).mode & 0o777, 0o700);
  const keys = await readdir(at('acme', 'keys'));
  t.same(
    keys.sort(),
    ['api', 'evidence', 'tuf'].flatMap((list) => [`${list}-1.json`, `${list}-1.pub.json`]),
  );
  for (const key of keys.filter((name) => !name.includes('.pub.')))
    t.equal((await stat(at('acme', 'keys', key))).mode & 0o777, 0o600);
  t.match(JSON.parse(await readFile(at('acme', 'vendor.json'), 'utf8')), {
    schema: 'ironport.vendor-config/v1',
    vendor: 'acme',
    hardware_ids: ['PCI:0x1234:0x11e8'],
    threshold: 1,
    keys: {
      tuf: ['keys/tuf-1.json'],
      evidence: ['keys/evidence-1.json'],
      api: ['keys/api-1.json'],
    },
  });
});

t.test('init refuses a folder that is taken, and names and numbers that cannot be', async (t) => {
  const before = await readFile(at('acme', 'keys', 'tuf-1.json'));
  t.match((await init('acme')).error, { code: 'E_EXISTS' });
  t.same(await readFile(at('acme', 'keys', 'tuf-1.json')), before);
  const bad = (...more: string[]) => ironport('init', '--dir', at('bad'), ...INIT, ...more);
  t.match((await bad('--vendor', 'Acme Inc')).error, { code: 'E_NAME' });
  t.match((await bad('--vendor', 'root')).error, { code: 'E_NAME' });
  t.match((await bad('--vendor', 'a', '--hardware-id', 'PCI:1234')).error, { code: 'E_SCHEMA' });
  // No request could have it, and the folder would be of no use.
  t.match((await bad('--vendor', 'a', '--contact', 'x')).error, { code: 'E_USAGE' });
  t.match((await bad('--vendor', 'a', '--threshold', '2')).error, { code: 'E_USAGE' });
  await t.rejects(stat(at('bad')), 'nothing was made');
});

t.test('request is signed by every key of the folder', async (t) => {
  const out = at('acme.admission.json');
  const { data } = await vendor('request', '--dir', at('acme'), '--out', out);
  const admission = parseAdmission(await readFile(out));
  t.equal(verifyAdmission(platformCrypto, admission).length, 3);
  t.equal(admission.request.vendor, 'acme');
  t.match(data.fingerprint, /^[0-9a-f]{64}$/);

  await rename(at('acme', 'keys', 'api-1.json'), at('away.json'));
  t.match((await ironport('request', '--dir', at('acme'), '--out', at('no.json'))).error, {
    code: 'E_NOT_FOUND',
  });
  await rename(at('away.json'), at('acme', 'keys', 'api-1.json'));
  await chmod(at('acme', 'keys', 'api-1.json'), 0o644);
  t.match((await ironport('request', '--dir', at('acme'), '--out', at('no.json'))).error, {
    code: 'E_KEY',
    message: /can be read or changed by others/,
  });
  await chmod(at('acme', 'keys', 'api-1.json'), 0o600);
  await t.rejects(stat(at('no.json')));
});

t.test('encrypted keys are asked for their passphrase', async (t) => {
  await writeFile(at('phrase'), 'correct horse\n');
  await init('locked', '--passphrase-file', at('phrase'));
  const request = ['request', '--dir', at('locked'), '--out', at('locked.json')];
  t.match((await ironport(...request)).error, { code: 'E_KEY' });
  t.equal((await ironport(...request, '--passphrase-file', at('phrase'))).exit, 0);
});

const attest = (...more: string[]) =>
  ironport(
    ...['attest', at('edu.js'), '--product', 'edu', '--version', '1.0.0'],
    ...['--ceiling', at('ceiling.json'), '--dir', at('acme'), '--out', at('evidence'), ...more],
  );

t.test('attest makes evidence that verifies', async (t) => {
  const { data, exit } = await attest();
  t.equal(exit, 0);
  const read = (suffix: string) => readFile(at('evidence', `edu.js${suffix}`));
  const verdict = verifyEvidence(platformCrypto, {
    artifact: { path: data.path, length: data.length, sha256: data.sha256 },
    custom: new Node(data.custom as JsonValue, 'custom'),
    sidecars: {
      ceiling: await read('.ceiling.json'),
      statements: await read('.intoto.jsonl'),
      sbom: await read('.spdx.json'),
      bundle: await read('.sigstore.json'),
    },
    evidenceKeys: {
      active: [await loadPublicKey(at('acme', 'keys', 'evidence-1.pub.json'))],
      retired: [],
    },
  });
  t.equal(verdict.provenance.builderId, 'https://ironshim.dev/builders/vendor-by-hand/v1');
  t.same(verdict.provenance.externalParameters, { product: 'edu', version: '1.0.0' });
});

t.test("a builder's provenance is taken as it is, and held to its form", async (t) => {
  const provenance = {
    buildDefinition: {
      buildType: 'https://acme.example/build/v1',
      externalParameters: { source: 'git+https://git.acme.example/edu@refs/tags/v1.0.0' },
    },
    runDetails: { builder: { id: 'https://acme.example/builder/v1' } },
  };
  await writeFile(at('provenance.json'), JSON.stringify(provenance));
  t.equal((await attest('--provenance', at('provenance.json'))).exit, 0);
  const line = (await readFile(at('evidence', 'edu.js.intoto.jsonl'), 'utf8')).trim();
  const statement = JSON.parse(Buffer.from(JSON.parse(line).payload, 'base64').toString());
  t.same(statement.predicate, provenance);

  // A builder's file is often the whole statement, or that in an envelope, or in a Sigstore bundle.
  const sha256 = createHash('sha256')
    .update(await readFile(at('edu.js')))
    .digest('hex');
  const stated = (change: object = {}) => ({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'edu.js', digest: { sha256 } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: provenance,
    ...change,
  });
  const enveloped = (payload: object) => ({
    payloadType: 'application/vnd.in-toto+json',
    payload: Buffer.from(JSON.stringify(payload)).toString('base64'),
    signatures: [{ sig: 'AAAA' }],
  });
  const given = async (value: object) => {
    await writeFile(at('given.json'), `${JSON.stringify(value)}\n`);
    return await attest('--provenance', at('given.json'));
  };
  const others = [{ name: 'edu.js', digest: { sha256: '0'.repeat(64) } }];
  for (const wrap of [
    (value: object) => value,
    enveloped,
    (value: object) => ({ mediaType: 'x', dsseEnvelope: enveloped(value) }),
  ]) {
    t.equal((await given(wrap(stated()))).exit, 0);
    t.match((await given(wrap(stated({ subject: others })))).error, {
      code: 'E_EVIDENCE',
      message: /the provenance is not about .*edu\.js$/,
      why: /it is about edu\.js 0{64}, and the SHA-256 /,
    });
    t.match(
      (await given(wrap(stated({ predicateType: 'https://slsa.dev/provenance/v0.2' })))).error,
      {
        code: 'E_SCHEMA',
        message: /states https:\/\/slsa\.dev\/provenance\/v0\.2$/,
      },
    );
    t.match((await given(wrap(stated({ predicate: {} })))).error, { code: 'E_SCHEMA' });
  }
  t.match((await given({ ...enveloped({}), payloadType: 'text/plain' })).error, {
    code: 'E_SCHEMA',
  });

  const { runDetails: _, ...half } = provenance;
  await writeFile(at('half.json'), JSON.stringify(half));
  t.match((await attest('--provenance', at('half.json'))).error, {
    code: 'E_SCHEMA',
    message: /half\.json: the field "runDetails" is missing/,
  });
});

t.test('what hosts would refuse is refused before anything is signed', async (t) => {
  const ceiling = async (change: object): Promise<string> => {
    await writeFile(at('other.json'), JSON.stringify({ ...CEILING, ...change }));
    return at('other.json');
  };
  const refused = async (match: object, ...more: string[]) =>
    t.match((await attest(...more)).error, match);
  const foreign = await ceiling({ devices: [{ vendor: '0x1af4', device: '0x1000' }] });
  await refused({ code: 'E_NOT_AUTHORISED', message: /PCI:0x1af4:0x1000/ }, '--ceiling', foreign);
  await refused({ code: 'E_SCHEMA' }, '--ceiling', await ceiling({ note: 'unknown' }));
  await refused({ code: 'E_CEILING' }, '--ceiling', await ceiling({ devices: [] }));
  await refused({ code: 'E_NAME' }, '--as', 'edu.js.ceiling.json');
  await refused({ code: 'E_NAME' }, '--as', '../edu.js');
  await refused({ code: 'E_NAME' }, '--product', 'edu/other');
  await refused({ code: 'E_NOT_FOUND' }, '--ceiling', at('none.json'));
  await refused({ code: 'E_NOT_FOUND', message: /no vendor's folder/ }, '--dir', at('nowhere'));
});

t.test('a vendor.json that is no good says where', async (t) => {
  const path = at('acme', 'vendor.json');
  const good = await readFile(path, 'utf8');
  const broken: [string, RegExp][] = [
    [good.slice(0, -10), /the text ends/],
    [good.replace('"threshold": 1', '"threshold": 2'), /threshold: an integer from 1 to 1/],
    [good.replace('"threshold": 1', '"threshold": 0'), /threshold/],
    [good.replace('"acme"', '"targets"'), /reserved/],
    [good.replace('{', '{"more": 1,'), /"more" is unknown/],
  ];
  for (const [text, message] of broken) {
    await writeFile(path, text);
    t.match((await attest()).error, { code: 'E_CONFIG', message });
  }
  await writeFile(path, good);
});

t.test('every command has a help with an example', async (t) => {
  for (const { name, examples } of program.commands) {
    const help = await run(program, [...name.split(' '), '--help']);
    t.equal(help.exit, 0);
    for (const example of examples) t.ok(help.stdout.includes(example), name);
  }
});

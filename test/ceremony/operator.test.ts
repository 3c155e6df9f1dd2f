/** The operators' commands over their command lines, with real key files. */

import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { operatorCommands } from '../../server/ceremony/commands.ts';
import {
  admissionFingerprint,
  formatFingerprint,
  makeAdmission,
  parseAdmission,
} from '../../shared/api/admission.ts';
import { formatReceipt, rootIn } from '../../shared/api/receipt.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { Person, ProgramSpec } from '../../shared/cli/command.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { parseHardwareId } from '../../shared/tuf/hardware-id.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { parseVendors } from '../../shared/tuf/vendors.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { type Ran, run } from '../cli/support.ts';
import { testKey } from '../support/keys.ts';

const program: ProgramSpec = {
  name: 'ironport-repo',
  summary: 'the part of the operators',
  commands: operatorCommands,
};

const DIR = t.testdir();
const at = (...parts: string[]): string => join(DIR, ...parts);

interface Answer extends Ran {
  // biome-ignore lint/suspicious/noExplicitAny: what the documents hold is what is tested
  readonly data: any;
  readonly error: { code: string; message: string; why: string | null } | undefined;
}

/** Commands that sign ask first, where somebody can be asked. */
const SIGNING =
  /^(ceremony|sign|root \w+|targets \w+|key (lost|compromised)|vendor (add|rotate-keys|remove)) /;

async function repo(...argv: string[]): Promise<Answer> {
  const yes = SIGNING.test(`${argv.join(' ')} `) ? ['--yes'] : [];
  return ask(undefined, ...argv, ...yes);
}

async function ask(person: Person | undefined, ...argv: string[]): Promise<Answer> {
  const ran = await run(program, [...argv, '--json'], { person });
  const { data, error } = JSON.parse(ran.stdout);
  return { ...ran, data, error };
}

/** A command that must succeed. */
async function done(...argv: string[]): Promise<Answer> {
  const answer = await repo(...argv);
  if (answer.exit !== 0) throw new Error(`${argv.join(' ')}: ${answer.stdout}`);
  return answer;
}

const KEYS = ['r1', 'r2', 'r3', 't1', 't2', 's', 'ts', 's2', 'ts2', 'r4'];
for (const name of KEYS) await done('key', 'make', '--out', at(`${name}.json`));
const pub = (name: string): string => at(`${name}.pub.json`);
const idOf = async (name: string): Promise<string> => keyId(crypto, await loadPublicKey(pub(name)));

function ceremony(out: string, ...more: string[]): Promise<Answer> {
  const keys = ['--root-key', at('r1.json'), '--root-key', at('r2.json'), '--root-key', pub('r3')];
  const online = ['--snapshot-key', pub('s'), '--timestamp-key', pub('ts')];
  const base = [...keys, '--root-threshold', '2', '--targets-key', at('t1.json'), ...online];
  return repo('ceremony', '--out', at(out), ...base, ...more);
}

const bytesOf = (path: string): Promise<Uint8Array> => readFile(at(path));

t.test('key make writes two files and never over another', async (t) => {
  for (const scheme of ['ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384']) {
    const out = at(`${scheme}.json`);
    const { data, stderr } = await done('key', 'make', '--out', out, '--scheme', scheme);
    t.equal((await stat(out)).mode & 0o777, 0o600);
    t.match(data, { scheme, encrypted: false, public_file: at(`${scheme}.pub.json`) });
    t.match(stderr, 'is not encrypted');
    for (const file of [out, data.public_file]) {
      const shown = await done('key', 'show', file);
      t.match(shown.data, {
        keyid: data.keyid,
        public: data.public,
        fingerprint: data.fingerprint,
      });
      t.notMatch(shown.stdout, 'pkcs8');
    }
    const before = await readFile(out);
    t.match((await repo('key', 'make', '--out', out)).error, { code: 'E_EXISTS' });
    t.same(await readFile(out), before);
  }
  t.match((await repo('key', 'make', '--out', at('x.json'), '--scheme', 'rsa')).error, {
    code: 'E_USAGE',
    message: 'no scheme is called rsa',
  });
  t.match((await repo('key', 'show', at('none.json'))).error, { code: 'E_NOT_FOUND' });
});

t.test('a passphrase is needed again to sign', async (t) => {
  await writeFile(at('phrase'), 'correct horse\n');
  await writeFile(at('wrong'), 'battery staple\n');
  const made = await done(
    'key',
    'make',
    '--out',
    at('locked.json'),
    '--passphrase-file',
    at('phrase'),
  );
  t.equal(made.data.encrypted, true);
  const ask = (...more: string[]) =>
    ceremony('locked', '--targets-key', at('locked.json'), ...more);
  t.match((await ask()).error, { code: 'E_KEY', message: /nobody to ask/ });
  t.match((await ask('--passphrase-file', at('wrong'))).error, { code: 'E_KEY' });
  t.equal((await ask('--passphrase-file', at('phrase'))).exit, 0);
});

t.test('a ceremony makes files that clients accept', async (t) => {
  const { data, stderr } = await ceremony('first');
  t.match(data.root.signatures, [{ have: 2, need: 2 }]);
  t.match(data.targets.signatures, [{ have: 1, need: 1 }]);
  t.match(stderr, 'root, which says who signs everything else, takes 2 of 3 keys, kept offline:');
  t.match(stderr, `${(await idOf('s')).slice(0, 12)} (ed25519) for snapshot`);
  t.notMatch(stderr, 'if one is lost, no root');

  const bytes = await bytesOf('first/1.root.json');
  const root = parseRoot(bytes);
  const now = root.expires - 364 * 86_400;
  t.doesNotThrow(() => new TrustedMetadata({ crypto, now, root: bytes }).finishRoots());
  t.equal(root.consistentSnapshot, true);
  const targets = parseTargets(await bytesOf('first/1.targets.json'), 'targets');
  verifyThreshold(crypto, targets.envelope, root.keys, root.roles.targets, 'targets');
  t.same(targets.paths(), []);
  t.equal(parseVendors(targets.envelope.signed).size, 0);

  // Again, into the same folder: other signatures' files are never replaced by other ones.
  t.match((await ceremony('first', '--expires-in', '30d')).error, { code: 'E_EXISTS' });
  t.same(await bytesOf('first/1.root.json'), bytes);
});

t.test('a ceremony refuses what must not be, and warns of what is unwise', async (t) => {
  const refused = async (message: string | RegExp, ...more: string[]): Promise<void> => {
    const answer = await ceremony('refused', ...more);
    t.match(answer.error?.message, message);
    await t.rejects(stat(at('refused')), 'nothing was written');
  };
  await refused('4 of 3 keys can never sign root', '--root-threshold', '4');
  await refused('--root-threshold takes a whole number', '--root-threshold', '0');
  await refused('2 of 1 keys can never sign targets', '--targets-threshold', '2');
  await refused('the snapshot key is also a key of root', '--snapshot-key', pub('r1'));
  await refused('the timestamp key is also a key', '--timestamp-key', pub('t1'));
  await refused('snapshot and timestamp have the same key', '--timestamp-key', pub('s'));
  await refused(/are the same key/, '--root-key', pub('r1'));
  await refused(/not a span of time/, '--expires-in', 'soon');
  await refused('root may live 365 days at the most', '--expires-in', '366d');
  await refused('targets may live 182 days at the most', '--targets-expires-in', '1y');

  t.match((await ceremony('all', '--root-threshold', '3')).stderr, 'every one of its 3 keys');
  t.match(
    (await ceremony('both', '--targets-key', at('r1.json'))).stderr,
    'one theft reaches both',
  );

  await chmod(at('r2.json'), 0o644);
  t.match((await ceremony('open')).error, { code: 'E_KEY', message: /read or changed by others/ });
  await chmod(at('r2.json'), 0o600);
});

t.test('signers finish the work of one another', async (t) => {
  const { data } = await ceremony('passed', '--root-threshold', '3');
  t.match(data.root.signatures, [{ have: 2, need: 3 }]);
  const file = at('passed/1.root.json');
  const stranger = await repo('sign', file, '--key', at('t1.json'));
  t.match(stranger.error, { code: 'E_NOT_AUTHORISED', message: /counts for nothing on this root/ });
  t.match((await repo('sign', file, '--key', pub('r3'))).error, { code: 'E_USAGE' });
  const third = await done('sign', file, '--key', at('r3.json'));
  t.match(third.data, { complete: true, version: 1, signatures: [{ have: 3, need: 3 }] });
  t.match(third.stderr, `+ the key ${(await idOf('r1')).slice(0, 12)} (ed25519) may sign root`);
  // Signing twice adds nothing to the count.
  t.match((await done('sign', file, '--key', at('r3.json'))).data.signatures, [{ have: 3 }]);
});

t.test('root rotate exchanges keys, and each root vouches for the next', async (t) => {
  await ceremony('rotate');
  const first = at('rotate/1.root.json');
  const second = at('rotate/2.root.json');
  const rotated = await done(
    ...['root', 'rotate', '--root', first, '--key', at('r1.json'), '--key', at('r2.json')],
    ...['--replace-snapshot', pub('s2'), '--replace-timestamp', pub('ts2')],
    ...['--replace-root', `${(await idOf('r3')).slice(0, 8)}=${pub('r4')}`, '--out', second],
  );
  t.equal(rotated.data.complete, true);
  t.match(rotated.stderr, '~ hosts that take this root drop the timestamp and the snapshot');
  t.match(
    rotated.stderr,
    `- the key ${(await idOf('r3')).slice(0, 12)} (ed25519) may no longer sign root`,
  );

  const third = at('rotate/3.root.json');
  const half = await done(
    'root',
    'renew',
    '--root',
    second,
    '--key',
    at('r4.json'),
    '--out',
    third,
  );
  t.equal(half.data.complete, false);
  t.match(half.data.signatures, [
    { have: 1, need: 2 },
    { have: 1, need: 2 },
  ]);
  const renewed = await done('sign', third, '--key', at('r1.json'), '--against', second);
  t.equal(renewed.data.complete, true);
  t.notOk(renewed.data.changes.some(({ effect }: { effect: string }) => effect !== 'changes'));

  const bytes = await bytesOf('rotate/1.root.json');
  const trusted = new TrustedMetadata({
    crypto,
    now: parseRoot(bytes).expires - 86_400,
    root: bytes,
  });
  t.same(trusted.updateRoot(await readFile(second)), { rotated: true });
  t.same(trusted.updateRoot(await readFile(third)), { rotated: false });
});

t.test('root rotate refuses what cannot be', async (t) => {
  const base = ['root', 'rotate', '--root', at('rotate/1.root.json'), '--key', at('r1.json')];
  const refused = async (code: string, message: string | RegExp, ...more: string[]) =>
    t.match((await repo(...base, '--out', at('no.json'), ...more)).error, { code, message });
  await refused('E_USAGE', /nothing was said that should change/);
  await refused(
    'E_USAGE',
    /does not name one key of root/,
    '--replace-root',
    `00000000=${pub('r4')}`,
  );
  await refused('E_USAGE', /takes OLD=NEW/, '--replace-root', pub('r4'));
  await refused(
    'E_KEY',
    /is one of root already/,
    '--replace-root',
    `${at('r1.json')}=${pub('r2')}`,
  );
  await refused('E_KEY', /would also be a key of root/, '--replace-snapshot', pub('r2'));
  await refused('E_SCHEMA', /can never be met/, '--threshold', '4');
  await refused(
    'E_NOT_AUTHORISED',
    /counts for nothing/,
    '--threshold',
    '1',
    '--key',
    at('t1.json'),
  );
  await t.rejects(stat(at('no.json')));
});

const signers = (name: string) => ({
  tuf: [testKey(`${name} tuf`)],
  evidence: [testKey(`${name} evidence`)],
  api: [testKey(`${name} api`)],
});

async function request(
  vendor: string,
  hardware: string[],
  keys = signers(vendor),
): Promise<string> {
  const hardwareIds = hardware.map(parseHardwareId);
  const asked = { vendor, hardwareIds, contact: `security@${vendor}.example`, threshold: 1 };
  const path = at(`${vendor}-${hardware.join('-')}.admission.json`);
  await mkdir(DIR, { recursive: true });
  await writeFile(path, await makeAdmission(crypto, asked, keys));
  return path;
}

t.test('a vendor is admitted, and who else asks is held against it', async (t) => {
  await ceremony('vendors');
  const root = at('vendors/1.root.json');
  const add = (path: string, ...more: string[]) =>
    repo('vendor', 'add', path, '--key', at('t1.json'), ...more);
  const first = ['--targets', at('vendors/1.targets.json'), '--root', root];
  const two = at('vendors/2.targets.json');
  const acme = await request('acme', ['PCI:0x1234:0x11e8']);

  const fingerprint = admissionFingerprint(crypto, parseAdmission(await readFile(acme)));
  const shown = await done('vendor', 'show', acme);
  t.match(shown.data, { vendor: 'acme', fingerprint, hardware_ids: ['PCI:0x1234:0x11e8'] });
  t.match((await run(program, ['vendor', 'show', acme])).stdout, formatFingerprint(fingerprint));

  const wrong = await add(acme, ...first, '--out', two, '--fingerprint', '0'.repeat(64));
  t.match(wrong.error, { code: 'E_SIGNATURE', message: /does not have the fingerprint/ });
  t.match(
    (await add(acme, ...first, '--out', two, '--fingerprint', fingerprint.slice(0, 8))).error,
    {
      code: 'E_USAGE',
    },
  );
  await t.rejects(stat(two));
  const unchecked = await add(acme, ...first, '--out', at('vendors/unchecked.json'));
  t.match(unchecked.stderr, 'warning: no --fingerprint was given');

  const told = formatFingerprint(fingerprint);
  const added = await add(acme, ...first, '--out', two, '--fingerprint', told);
  t.match(added.data, { version: 2, complete: true, fingerprint_compared: true });
  t.match(added.stderr, '+ acme may publish acme/*/*/*, signed by 1 of 1 of: ');
  t.match(added.stderr, '+ acme may bind the hardware PCI:0x1234:0x11e8');

  const targets = parseTargets(await readFile(two), 'targets');
  const [role] = targets.delegations?.roles ?? [];
  t.match(role, {
    name: 'acme',
    threshold: 1,
    terminating: true,
    scope: { paths: ['acme/*/*/*'] },
  });
  t.same(role?.keyids, [testKey('acme tuf').keyid]);
  t.match(parseVendors(targets.envelope.signed).get('acme'), {
    apiKeys: [testKey('acme api').key],
    contact: 'security@acme.example',
  });

  const next = ['--targets', two, '--root', root, '--out', at('vendors/3.targets.json')];
  const refused = async (path: string, code: string, message: RegExp, ...more: string[]) => {
    t.match((await add(path, ...next, ...more)).error, { code, message });
    await t.rejects(stat(at('vendors/3.targets.json')));
  };
  await refused(acme, 'E_EXISTS', /there is a vendor acme already/);
  const again = await request('acme', ['PCI:0x9999'], signers('acme again'));
  await refused(again, 'E_EXISTS', /there is a vendor acme already/);
  const same = await request('other', ['PCI:0x1234:0x11e8']);
  await refused(same, 'E_CONFLICT', /PCI:0x1234:0x11e8 is acme's already/);
  const wide = await request('other', ['PCI:0x1234']);
  await refused(wide, 'E_CONFLICT', /PCI:0x1234 is acme's already/);
  const tuf = await request('other', ['PCI:0x5678'], {
    ...signers('other'),
    tuf: signers('acme').tuf,
  });
  await refused(tuf, 'E_CONFLICT', /is that of acme/);
  const api = await request('other', ['PCI:0x5679'], {
    ...signers('other'),
    tuf: signers('acme').api,
  });
  await refused(api, 'E_CONFLICT', /is that of acme/);
  await refused(same, 'E_NOT_AUTHORISED', /counts for nothing/, '--shared', '--key', at('t2.json'));

  const broken = JSON.parse(await readFile(same, 'utf8'));
  broken.signatures.pop();
  await writeFile(at('broken.json'), JSON.stringify(broken));
  await refused(at('broken.json'), 'E_SIGNATURE', /api key .* did not sign/);

  const both = await add(same, ...next, '--shared');
  t.equal(both.data.complete, true);
  t.notMatch(both.stderr, 'acme may', 'what acme may do is not changed');
  const three = parseTargets(await bytesOf('vendors/3.targets.json'), 'targets');
  t.same([...parseVendors(three.envelope.signed).keys()], ['acme', 'other']);

  const list = await done(
    'vendor',
    'list',
    '--targets',
    at('vendors/3.targets.json'),
    '--root',
    root,
  );
  t.match(list.data, {
    version: 3,
    verified: true,
    vendors: [
      { vendor: 'acme', paths: ['acme/*/*/*'], tuf_keys: [testKey('acme tuf').keyid] },
      { vendor: 'other', hardware_ids: ['PCI:0x1234:0x11e8'] },
    ],
  });
});

t.test('nothing is built on targets that nobody signed', async (t) => {
  const file = JSON.parse(await readFile(at('vendors/1.targets.json'), 'utf8'));
  file.signed.version = 41;
  await writeFile(at('forged.json'), JSON.stringify(file));
  const acme = await request('acme', ['PCI:0x1234:0x11e8']);
  const base = ['--targets', at('forged.json'), '--root', at('vendors/1.root.json')];
  const add = ['vendor', 'add', acme, '--key', at('t1.json'), '--out', at('42.json'), ...base];
  t.match((await repo(...add)).error, { code: 'E_THRESHOLD' });
  t.match((await repo('vendor', 'list', ...base)).error, { code: 'E_THRESHOLD' });
  await t.rejects(stat(at('42.json')));
});

t.test('two of three sign targets, one after the other', async (t) => {
  await ceremony('two', '--targets-key', at('t2.json'), '--targets-threshold', '2');
  const acme = await request('acme', ['PCI:0x1234:0x11e8']);
  const [first, second] = [at('two/1.targets.json'), at('two/2.targets.json')];
  const root = ['--root', at('two/1.root.json')];
  const added = await done(
    ...[
      'vendor',
      'add',
      acme,
      '--targets',
      first,
      ...root,
      '--key',
      at('t1.json'),
      '--out',
      second,
    ],
  );
  t.match(added.data, { complete: false, signatures: [{ have: 1, need: 2 }] });
  const out = at('two/signed.json');
  const signed = await done(
    ...['sign', second, '--key', at('t2.json'), '--against', first, ...root, '--out', out],
  );
  t.match(signed.data, { complete: true, file: out });
  t.match(signed.stderr, '+ acme may publish acme/*/*/*');
  t.match((await done('sign', second, '--key', at('t2.json'))).data, {
    complete: false,
    signatures: [],
  });
  const mixed = await repo(
    'sign',
    second,
    '--key',
    at('t2.json'),
    '--against',
    at('two/1.root.json'),
  );
  t.match(mixed.error, { code: 'E_USAGE' });
  await writeFile(at('garbage.json'), utf8('{"signed":{"_type":"snapshot"},"signatures":[]}'));
  t.match((await repo('sign', at('garbage.json'), '--key', at('t2.json'))).error, {
    code: 'E_SCHEMA',
  });
});

t.test('every command has a help with an example', async (t) => {
  for (const { name, examples } of operatorCommands) {
    const help = await run(program, [...name.split(' '), '--help']);
    t.equal(help.exit, 0);
    for (const example of examples) t.ok(help.stdout.includes(example), name);
  }
});

t.test('before a signature somebody is asked', async (t) => {
  const person = (answer: string): Person & { readonly asked: string[] } => {
    const asked: string[] = [];
    const line = async (question: string): Promise<string> => {
      asked.push(question);
      return answer;
    };
    return { asked, line, secret: line };
  };
  await ceremony('asked');
  const renew = (out: string): string[] => [
    ...['root', 'renew', '--root', at('asked/1.root.json'), '--key', at('r1.json')],
    ...['--key', at('r2.json'), '--out', at(out)],
  ];
  const no = person('no');
  t.match((await ask(no, ...renew('no.json'))).error, { code: 'E_CANCELLED' });
  t.match(no.asked, [/sign root 2 with [0-9a-f]{12}, [0-9a-f]{12}\?/]);
  t.match((await ask(person(''), ...renew('no.json'))).error, { code: 'E_CANCELLED' });
  t.match((await ask(undefined, ...renew('no.json'))).error, { code: 'E_USAGE' });
  await t.rejects(stat(at('no.json')), { code: 'ENOENT' }, 'nothing was written');
  t.match((await ask(person('yes'), ...renew('yes.json'))).data, { complete: true });
  const never = person('no');
  t.match((await ask(never, ...renew('flag.json'), '--yes')).data, { complete: true });
  t.same(never.asked, []);

  const typed = person('a passphrase');
  const made = await ask(typed, 'key', 'make', '--encrypt', '--out', at('typed.json'));
  t.match(made.data, { encrypted: true });
  t.equal(typed.asked.length, 2, 'a new passphrase is typed twice');
  const file = at('asked/1.root.json');
  const wrong = await ask(person('another'), 'sign', file, '--yes', '--key', at('typed.json'));
  t.match(wrong.error, { code: 'E_KEY', message: /does not open/ });
  const opened = await ask(typed, 'sign', file, '--yes', '--key', at('typed.json'));
  t.match(opened.error, { code: 'E_NOT_AUTHORISED' }, 'it opened; it is no root key');
});

t.test('a vendor changes its keys, and goes', async (t) => {
  await ceremony('change');
  const root = at('change/1.root.json');
  const signing = ['--root', root, '--key', at('t1.json')];
  const next = (from: number, out = from + 1): string[] => [
    ...['--targets', at(`change/${from}.targets.json`), ...signing],
    ...['--out', at(`change/${out}.targets.json`)],
  ];
  const receipt = at('change/acme.receipt.json');
  const first = await request('acme', ['PCI:0x1234:0x11e8']);
  t.match((await done('vendor', 'add', first, ...next(1), '--receipt', receipt)).data, { receipt });
  t.same(
    rootIn(await bytesOf('change/acme.receipt.json'), 'acme'),
    await bytesOf('change/1.root.json'),
  );
  await done('vendor', 'add', await request('globex', ['PCI:0x5678']), ...next(2));

  const fresh = { ...signers('acme 2'), evidence: signers('acme').evidence };
  const asked = await request('acme', ['PCI:0x9999'], fresh);
  const { data, stderr } = await done('vendor', 'rotate-keys', asked, ...next(3));
  t.match(data, { vendor: 'acme', version: 4, complete: true });
  t.match(stderr, 'warning: no --fingerprint was given');
  const targets = parseTargets(await bytesOf('change/4.targets.json'), 'targets');
  const [role] = targets.delegations?.roles ?? [];
  t.same(role?.keyids, [testKey('acme 2 tuf').keyid]);
  t.notOk(
    targets.delegations?.keys.has(testKey('acme tuf').keyid),
    'the old key is listed no more',
  );
  const entry = parseVendors(targets.envelope.signed).get('acme');
  t.same(entry?.apiKeys, [testKey('acme 2 api').key]);
  t.same(entry?.hardwareIds, [parseHardwareId('PCI:0x1234:0x11e8')], 'its hardware is what it was');
  t.same(
    targets.delegations?.roles.map(({ name }) => name),
    ['acme', 'globex'],
    'in their order',
  );

  const refused = async (code: string, ...argv: string[]): Promise<void> => {
    t.match((await repo(...argv)).error, { code }, argv.slice(0, 3).join(' '));
    await t.rejects(stat(at('change/5.targets.json')), 'nothing was written');
  };
  await refused('E_NOTHING_TO_DO', 'vendor', 'rotate-keys', asked, ...next(4));
  const foreign = { ...fresh, tuf: signers('globex').tuf };
  const stolen = await request('acme', ['PCI:0x0001'], foreign);
  await refused('E_CONFLICT', 'vendor', 'rotate-keys', stolen, ...next(4));
  const nobody = await request('initech', ['PCI:0x0002']);
  await refused('E_NOT_FOUND', 'vendor', 'rotate-keys', nobody, ...next(4));
  await refused('E_NOT_FOUND', 'vendor', 'remove', 'initech', ...next(4));
  await refused('E_NAME', 'vendor', 'remove', '../x', ...next(4));
  const zeros = ['--fingerprint', '0'.repeat(64)];
  await refused('E_SIGNATURE', 'vendor', 'rotate-keys', asked, ...next(4), ...zeros);
  const bent = at('change/bent.json');
  const text = await readFile(at('change/4.targets.json'), 'utf8');
  await writeFile(bent, text.replace('PCI:0x5678', 'PCI:0x5679'));
  const onBent = ['--targets', bent, ...signing, '--out', at('change/5.targets.json')];
  for (const argv of [
    ['vendor', 'remove', 'acme'],
    ['vendor', 'rotate-keys', asked],
    ['targets', 'renew'],
  ])
    await refused('E_THRESHOLD', ...argv, ...onBent);

  await done('vendor', 'remove', 'acme', ...next(4));
  const left = parseTargets(await bytesOf('change/5.targets.json'), 'targets');
  t.same(
    left.delegations?.roles.map(({ name }) => name),
    ['globex'],
  );
  t.same([...parseVendors(left.envelope.signed).keys()], ['globex']);
  t.same([...(left.delegations?.keys.keys() ?? [])], [testKey('globex tuf').keyid]);
  const renewed = await done('targets', 'renew', ...next(5));
  t.match(renewed.data, { version: 6, complete: true });
  // Within a second the date is the same, too.
  const said = renewed.data.changes.map(({ text }: { text: string }) => text);
  t.ok(
    said.every((text: string) => /version 6|valid until/.test(text)),
    'and nothing else',
  );
});

t.test('a receipt for somebody else, or none', async (t) => {
  const root = await bytesOf('change/1.root.json');
  const receipt = formatReceipt({ vendor: 'acme', fingerprint: '0'.repeat(64), root });
  t.same(rootIn(root, 'acme'), root, 'a root itself');
  t.throws(() => rootIn(receipt, 'globex'), { code: 'E_NOT_AUTHORISED' });
  const text = Buffer.from(receipt).toString();
  const bent: Record<string, string> = {
    'another schema': text.replace('receipt/v1', 'receipt/v2'),
    'a field more': text.replace('{', '{"x": 1,'),
    'no fingerprint': text.replace('0'.repeat(64), '0'),
    truncated: text.slice(0, -10),
  };
  for (const [name, bytes] of Object.entries(bent))
    t.throws(() => rootIn(utf8(bytes), 'acme'), { code: /^E_(SCHEMA|JSON)$/ }, name);
});

t.test('a key is lost, or stolen', async (t) => {
  await ceremony('gone', '--targets-key', at('t2.json'));
  const root = ['--root', at('gone/1.root.json')];
  const targets = ['--targets', at('gone/1.targets.json')];
  const two = ['--key', at('r1.json'), '--key', at('r2.json')];
  const gone = (how: string, id: string, ...more: string[]) =>
    repo('key', how, id, ...root, ...two, '--out', at(`gone/${how}-${id}`), ...more);

  const [r3, t1, s, r1] = await Promise.all(['r3', 't1', 's', 'r1'].map(idOf));
  if (!r3 || !t1 || !s || !r1) throw new Error('keys without ids');
  const lost = await gone('lost', r3);
  t.match(lost.data, { keyid: r3, roles: ['root'], complete: true, files: [{ version: 2 }] });
  t.match(lost.stderr, 'if one is lost, no root can ever be signed again');
  const made = parseRoot(await bytesOf(`gone/lost-${r3}/2.root.json`));
  t.equal(made.roles.root.keyids.length, 2);
  const trusted = new TrustedMetadata({ crypto, now: 0, root: await bytesOf('gone/1.root.json') });
  trusted.updateRoot(await bytesOf(`gone/lost-${r3}/2.root.json`));

  const replaced = await gone('lost', r3.slice(0, 10), '--new', pub('r4'));
  t.match(replaced.data, { keyid: r3, complete: true });
  t.ok(
    parseRoot(await bytesOf(`gone/lost-${r3.slice(0, 10)}/2.root.json`)).roles.root.keyids.includes(
      await idOf('r4'),
    ),
  );

  t.match((await gone('compromised', t1)).error, { code: 'E_USAGE', message: /signed again/ });
  const stolen = await gone('compromised', t1, ...targets, '--key', at('t2.json'));
  t.match(stolen.data, {
    roles: ['targets'],
    complete: true,
    files: [{ version: 2 }, { version: 2 }],
    advice: [/alone it can admit vendors/],
  });
  const after = parseRoot(await bytesOf(`gone/compromised-${t1}/2.root.json`));
  const resigned = parseTargets(await bytesOf(`gone/compromised-${t1}/2.targets.json`), 'targets');
  t.ok(verifyThreshold(crypto, resigned.envelope, after.keys, after.roles.targets, 'targets'));

  t.match((await gone('compromised', s)).error, { code: 'E_USAGE', hint: /--new/ });
  const online = await gone('compromised', s, '--new', pub('s2'));
  t.match(online.data, { roles: ['snapshot'], complete: true });
  t.match((await gone('lost', s, '--new', pub('r1'))).error, { code: 'E_KEY' }, 'an offline key');

  const refused: [string, string, string[]][] = [
    ['nobody has it', 'E_NOT_FOUND', ['lost', 'f'.repeat(64)]],
    ['too short', 'E_USAGE', ['lost', r3.slice(0, 7)]],
    ['it signs itself away', 'E_USAGE', ['compromised', r1]],
    ['a lost one signs', 'E_USAGE', ['lost', t1, ...targets, '--key', at('t1.json')]],
  ];
  for (const [name, code, argv] of refused)
    t.match((await gone(...(argv as [string, string]))).error, { code }, name);
  const alone = await repo(
    ...['key', 'lost', await idOf('r2'), '--root', at(`gone/lost-${r3}/2.root.json`)],
    ...['--key', at('r1.json'), '--out', at('gone/never')],
  );
  t.match(alone.error, { code: 'E_USAGE', message: /never be signed again/ });
});

t.test(
  'a file that is not what it is given as is named, and so is what is in the way',
  async (t) => {
    await ceremony('named');
    const [root, targets] = [at('named/1.root.json'), at('named/1.targets.json')];
    const short = at('short.json');
    await writeFile(short, (await readFile(targets)).subarray(0, 400));
    const acme = await request('acme', ['PCI:0x1234:0x11e8']);
    const signing = ['--key', at('t1.json'), '--out', at('never.json')];
    const cases: [code: string, message: string, argv: string[]][] = [
      ['E_SCHEMA', `${targets} is not a root`, ['root', 'renew', '--root', targets, ...signing]],
      ['E_JSON', `${short} is not a root`, ['root', 'renew', '--root', short, ...signing]],
      [
        'E_SCHEMA',
        `${root} is not a targets file`,
        ['targets', 'renew', '--targets', root, '--root', root, ...signing],
      ],
      [
        'E_SCHEMA',
        `${root} is not the admission request of a vendor`,
        ['vendor', 'add', root, '--targets', targets, ...signing],
      ],
      ['E_JSON', `${short} is not a root or targets file`, ['sign', short, '--key', at('t1.json')]],
      [
        'E_SCHEMA',
        `${root} is not the file of a key, nor its public half`,
        ['sign', targets, '--key', root],
      ],
      [
        'E_SCHEMA',
        `${root} is not the file of a key, nor its public half`,
        ['root', 'rotate', '--root', root, '--replace-snapshot', root, ...signing],
      ],
      [
        'E_USAGE',
        'a receipt carries the root: give --root',
        ['vendor', 'add', acme, '--targets', targets, '--receipt', at('no.json'), ...signing],
      ],
    ];
    for (const [code, message, argv] of cases) {
      const { error } = await repo(...argv);
      t.match(
        error,
        { code, message, hint: /nothing was signed and nothing was written/ },
        message,
      );
    }
    const receipt = at('receipt.json');
    await writeFile(receipt, 'somebody else’s');
    const admitted = await repo(
      ...['vendor', 'add', acme, '--targets', targets, '--root', root, '--receipt', receipt],
      ...signing,
    );
    t.match(admitted.error, { code: 'E_EXISTS', message: `${receipt} exists already` });
    await t.rejects(stat(at('never.json')), 'neither of the two was written');

    // A key that signs twice.
    const again = await done('sign', targets, '--root', root, '--key', at('t1.json'));
    t.match(again.stderr, 'no signature came to it: these keys had signed it before');

    // Both files of a key that is gone, or none.
    await writeFile(at('named/2.targets.json'), 'in the way');
    const stolen = await repo(
      ...['key', 'compromised', await idOf('t1'), '--root', root, '--targets', targets],
      ...['--new', pub('t2'), '--key', at('r1.json'), '--key', at('t1.json'), '--out', at('named')],
    );
    t.match(stolen.error, { code: 'E_EXISTS', message: /2\.targets\.json exists already/ });
    await t.rejects(stat(at('named/2.root.json')));
    const half = await repo('key', 'make', '--out', at('named/half.json'));
    await rm(at('named/half.json'));
    const orphan = await repo('key', 'make', '--out', at('named/half.json'));
    t.match([half.exit, orphan.error?.code], [0, 'E_EXISTS']);
    await t.rejects(stat(at('named/half.json')), 'no private half without its public one');
  },
);

t.test('what a vendor may bind changes with its keys, where that is asked for', async (t) => {
  await ceremony('hardware');
  const root = ['--root', at('hardware/1.root.json'), '--key', at('t1.json')];
  const file = (n: number) => at(`hardware/${n}.targets.json`);
  const acme = await request('acme', ['PCI:0x1234:0x11e8']);
  const other = await request('other', ['PCI:0x9999']);
  await done('vendor', 'add', acme, '--targets', file(1), ...root, '--out', file(2));
  await done('vendor', 'add', other, '--targets', file(2), ...root, '--out', file(3));
  const next = ['--targets', file(3), ...root, '--out', file(4)];
  const wider = await request('acme', ['PCI:0x1234,class=0x02', 'PCI:0x5678']);
  const without = await repo('vendor', 'rotate-keys', wider, ...next);
  t.match(without.error, { code: 'E_NOTHING_TO_DO' }, 'the keys are the same');
  t.match(without.stderr, 'it stays PCI:0x1234:0x11e8: give --hardware to change that, too');
  const taken = await request('acme', ['PCI:0x9999:0x0001']);
  const meets = await repo('vendor', 'rotate-keys', taken, '--hardware', ...next);
  t.match(meets.error, { code: 'E_CONFLICT', message: /PCI:0x9999:0x0001 is other's already/ });
  const changed = await done('vendor', 'rotate-keys', wider, '--hardware', ...next);
  t.match(changed.stderr, '+ acme may bind the hardware PCI:0x1234,class=0x02');
  t.match(changed.stderr, '- acme may no longer bind the hardware PCI:0x1234:0x11e8');
  t.notMatch(changed.stderr, 'may no longer sign', 'its keys stay');
  const said = await run(program, [
    ...['vendor', 'rotate-keys', taken, '--hardware', '--shared', '--targets', file(4), ...root],
    ...['--out', at('hardware/5.targets.json'), '--yes'],
  ]);
  t.notMatch(said.stdout, 'signed with its new keys', 'and no role has to come along');
});

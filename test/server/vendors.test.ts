/** Two vendors beside each other: neither speaks for the other. */

import t from 'tap';
import { apiKeysOf } from '../../server/intake/authenticate.ts';
import type { Subject } from '../../server/intake/check.ts';
import { hardware } from '../../server/intake/checks/hardware.ts';
import { namespace } from '../../server/intake/checks/namespace.ts';
import { OPERATOR_FILES_SCHEMA, SUBMISSION_SCHEMA } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { Node } from '../../shared/json/decode.ts';
import { api } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { withFields } from '../../shared/tuf/build.ts';
import { parseHardwareId } from '../../shared/tuf/hardware-id.ts';
import type { TargetEntry } from '../../shared/tuf/targets.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { parseVendors } from '../../shared/tuf/vendors.ts';
import {
  EDU_CEILING,
  sha256,
  signedRole,
  signedTargets,
  testArtifact,
  testOperators,
  testVendor,
} from '../support/repository.ts';
import { Caller, call, codeOf, running, temporaryHome } from './support.ts';

t.test('the same bytes, the same moment, and the role of the other', async (t) => {
  const it = await running(t);
  const globex = testVendor('globex');
  const targets = await signedTargets(it.operators, 2, [it.acme, globex]);
  const files = { schema: OPERATOR_FILES_SCHEMA, files: [toBase64(targets)] };
  const json = { 'content-type': 'application/json' };
  const admitted = await call(
    it.service.url,
    'POST',
    api.operatorFiles,
    json,
    utf8(JSON.stringify(files)),
  );
  const { id } = JSON.parse(String(admitted.body));
  await call(it.service.url, 'GET', `${api.submission(id)}?wait=20`);
  const other = new Caller(it.service.url, globex.api, it.clock);

  const content = utf8('the same bytes');
  const ours = await testArtifact(it.acme, 'acme/edu/1.0.0/edu.js', content);
  const theirs = await testArtifact(globex, 'globex/edu/1.0.0/edu.js', content);
  await Promise.all([it.caller.uploadAll([ours]), other.uploadAll([theirs])]);

  const foreign = await it.caller.submit('globex', await signedRole(globex, 1, [theirs]));
  t.equal(foreign.error?.code, 'E_NOT_AUTHORISED', 'however well it is signed');
  t.match(
    foreign.verdicts.find(({ ok }) => !ok),
    { check: 'role' },
  );
  const asked = await other.send('GET', api.submission(foreign.id));
  t.equal(codeOf(asked), 'E_NOT_FOUND', 'the verdict is for acme, who asked for it');

  const [a, b] = await Promise.all([
    it.caller.submit('acme', await signedRole(it.acme, 1, [ours])),
    other.submit('globex', await signedRole(globex, 1, [theirs])),
  ]);
  t.same(
    [a.state, b.state],
    ['published', 'published'],
    a.error?.message ?? b.error?.message ?? '',
  );
  for (const vendor of ['acme', 'globex']) {
    const path = `/targets/${vendor}/edu/1.0.0/${sha256(content)}.edu.js`;
    t.same((await call(it.service.url, 'GET', path)).body, Buffer.from(content));
  }
});

t.test('many pieces of one blob at once', async (t) => {
  const { caller } = await running(t);
  const bytes = utf8('x'.repeat(50_000));
  const digest = sha256(bytes);
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => caller.patch(digest, 0, bytes.length, bytes)),
  );
  const codes = answers.map((answer) => (answer.status === 204 ? 'ok' : codeOf(answer)));
  t.ok(codes.includes('ok'));
  t.same(
    codes.filter((code) => !['ok', 'E_TRY_AGAIN', 'E_CONFLICT'].includes(code)),
    [],
  );
  const head = await caller.send('HEAD', api.blob(digest));
  t.match(head.headers, { 'upload-offset': '50000', 'upload-length': '50000' });
});

t.test('a vendor whose patterns reach further than its name', (t) => {
  const entry = { path: 'globex/edu/1.0.0/edu.js' } as TargetEntry;
  const subject = { vendor: 'acme', entries: [entry] } as unknown as Subject;
  const delegation = { scope: { paths: ['*/*/*/*'] } } as unknown as Subject['delegation'];
  t.throws(() => namespace({ ...subject, delegation }), { code: 'E_NOT_AUTHORISED' });
  t.end();
});

t.test('an API key that two vendors list is nobody’s', async (t) => {
  const operators = await testOperators(temporaryHome(t));
  const acme = testVendor('acme');
  const globex = testVendor('globex', { api: acme.api });
  const initech = testVendor('initech');
  const bytes = await signedTargets(operators, 1, [acme, globex, initech]);
  const vendors = parseVendors(parseTargets(bytes, 'targets').envelope.signed);
  const { keys, owners } = apiKeysOf(platformCrypto, vendors.values());
  t.same([...owners.values()], ['initech']);
  t.same([...keys.keys()], [initech.api.keyid]);
});

t.test('what is signed is what counts: the body, and the name that it was sent to', async (t) => {
  const { acme, caller, service, clock } = await running(t);
  const document = async (version: number): Promise<Uint8Array> => {
    const metadata = toBase64(await signedRole(acme, version, []));
    return utf8(JSON.stringify({ schema: SUBMISSION_SCHEMA, role: 'acme', metadata }));
  };
  const [signed, sent] = [await document(1), await document(2)];
  const json = { 'content-type': 'application/json' };
  const headers = await caller.headers('POST', api.submissions, json, signed);
  const swapped = await call(service.url, 'POST', api.submissions, headers, sent);
  t.equal(codeOf(swapped), 'E_HASH');
  const same = await call(service.url, 'POST', api.submissions, headers, signed);
  t.equal(codeOf(same), 'E_REPLAY', 'a try counts');

  // A request for another repository where acme has the same key, sent on by that one.
  const elsewhere = new Caller('http://other.example', acme.api, clock);
  const lent = await elsewhere.headers('POST', api.submissions, json, signed);
  const replayed = await call(service.url, 'POST', api.submissions, lent, signed);
  t.equal(codeOf(replayed), 'E_UNAUTHENTICATED');
});

t.test('a ceiling within what the operators named, class and board as well', async (t) => {
  const tree = withFields(EDU_CEILING, {
    devices: [
      {
        ...{ vendor: '0x1234', device: '0x11e8', class: '0x020000' },
        ...{ subsystem_vendor: '0x1af4', subsystem_device: '0x1100' },
      },
    ],
  });
  const evidence = { artifact: 'x', ceiling: new Node(tree, 'ceiling'), custom: { generation: 1 } };
  const check = (id: string) => {
    const record = { name: 'acme', hardwareIds: [parseHardwareId(id)], apiKeys: [], contact: 'x' };
    return hardware({ record, vendor: 'acme' } as never, evidence as never);
  };
  for (const id of ['PCI:0x1234,class=0x02', 'PCI:0x1234:0x11e8,subsystem=0x1af4:0x1100'])
    t.match(check(id), 'PCI:0x1234:0x11e8 belong to acme', id);
  for (const id of ['PCI:0x1234,class=0x03', 'PCI:0x1234,subsystem=0x1af4:0x1101'])
    t.throws(() => check(id), { code: 'E_NOT_AUTHORISED' }, id);
});

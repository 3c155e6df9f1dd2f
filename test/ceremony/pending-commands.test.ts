/** Operators who are never in one place: changes that wait at the service, by command lines alone. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program } from '../../server/main.ts';
import { collecting, draftId } from '../../shared/api/pending.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { run } from '../cli/support.ts';
import { type Answer, operator, Scene } from '../publisher/support.ts';
import { temporaryHome } from '../server/support.ts';

/** A service whose root and targets two of three must sign. */
class Team extends Scene {
  async begin(): Promise<void> {
    mkdirSync(this.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
    const online = ['snapshot', 'timestamp'].map((role) =>
      this.at('repo', 'private', 'keys', `${role}.json`),
    ) as [string, string];
    const names = ['r1', 'r2', 'r3', 't1', 't2', 't3', 'stranger'];
    for (const key of [...online, ...names.map((name) => this.key(name))])
      await operator('key', 'make', '--out', key);
    const keys = (flag: string, ...which: string[]): string[] =>
      which.flatMap((name) => [flag, this.key(name)]);
    await operator(
      ...['ceremony', '--yes', '--out', this.at('signed')],
      ...['--root-threshold', '2', ...keys('--root-key', 'r1', 'r2', 'r3')],
      ...['--targets-threshold', '2', ...keys('--targets-key', 't1', 't2', 't3')],
      ...['--snapshot-key', online[0], '--timestamp-key', online[1]],
    );
    await this.open();
    await this.submit('1.root.json', '1.targets.json');
  }

  key(name: string): string {
    return this.at(`${name}.json`);
  }

  signed(name: string): string {
    return this.at('signed', name);
  }

  /** The next root, signed by `by` alone. */
  async renewed(out: string, by: string, days = 300): Promise<string> {
    await operator(
      ...['root', 'renew', '--yes', '--root', this.signed('1.root.json')],
      ...['--expires-in', `${days}d`],
      ...['--key', this.key(by), '--out', this.at(out)],
    );
    return this.at(out);
  }

  /** `pending VERB …` of a signer who knows the address and root 1. */
  async pending(...words: string[]): Promise<Answer> {
    const knows = ['--url', this.url, ...(words[0] === 'list' ? [] : this.root)];
    const ran = await run(program, ['pending', ...words, ...knows, '--json']);
    return { ...ran, ...JSON.parse(ran.stdout) };
  }
}

async function team(t: Test): Promise<Team> {
  const scene = new Team(temporaryHome(t));
  await scene.begin();
  t.teardown(() => scene.stop());
  return scene;
}

async function submit(scene: Team, ...files: string[]): Promise<Answer> {
  const ran = await run(program, ['submit', ...files, '--url', scene.url, '--json']);
  return { ...ran, ...JSON.parse(ran.stdout) };
}

t.test(
  'what lacks a signature waits, is listed, shown, signed at home, and published',
  async (t) => {
    const scene = await team(t);
    const left = await submit(scene, await scene.renewed('2.root.json', 'r1'));
    t.equal(left.exit, 75, 'it is not published yet');
    t.match(left.data, { state: 'pending', role: 'root', version: 2, draft: { state: 'open' } });
    const { id } = left.data;

    const listed = await scene.pending('list');
    t.match(listed.data.changes, [{ id, lacking: 2, state: 'open', files: [{ role: 'root' }] }]);
    const text = await run(program, ['pending', 'list', '--url', scene.url]);
    t.match(text.stdout, /root 2 .*lacks 2 .*until /);

    const shown = await scene.pending('show', id.slice(0, 12), '--out', scene.at('carry'));
    t.match(shown.data.changes, [
      { effect: 'changes', text: 'it is version 2, after version 1' },
      { effect: 'changes', text: /^it is valid until / },
    ]);
    t.match(shown.stderr, /root version 2, against version 1, says:/);
    t.strictSame(shown.data.written, [scene.at('carry', '2.root.json')]);

    const eight = await scene.pending('sign', id.slice(0, 8), '--key', scene.key('r3'), '--yes');
    t.match(eight.error, { code: 'E_USAGE', message: /too little of an id to sign by/ });
    const strange = await scene.pending('sign', id, '--key', scene.key('stranger'), '--yes');
    t.equal(strange.error?.code, 'E_NOT_AUTHORISED');
    const wrong = await scene.pending('sign', id, '--key', scene.key('t1'), '--yes');
    t.equal(wrong.error?.code, 'E_NOT_AUTHORISED', 'a key of another role');
    const unasked = await scene.pending('sign', id, '--key', scene.key('r3'));
    t.equal(unasked.error?.code, 'E_USAGE', 'nobody said yes');
    const again = await scene.pending('sign', id, '--key', scene.key('r1'), '--yes');
    t.match(again.data, { state: 'open', lacking: 2 }, 'the same key twice is one');

    const last = await scene.pending('sign', id.slice(0, 16), '--key', scene.key('r3'), '--yes');
    t.match(last.data, { state: 'published', lacking: 0, published: {} });
    t.strictSame((await scene.pending('list')).data.changes, []);
    t.match((await scene.pending('list', '--all')).data.changes, [{ id, state: 'published' }]);
    t.equal((await scene.pending('show', id)).error?.code, 'E_NOTHING_TO_DO');
  },
);

t.test('signed on a machine without a network, and brought by submit', async (t) => {
  const scene = await team(t);
  const { data } = await submit(scene, await scene.renewed('2.root.json', 'r1'));
  await scene.pending('show', data.id, '--out', scene.at('carry'));
  const carried = scene.at('carry', '2.root.json');
  await operator(
    ...['sign', carried, '--yes', '--against', scene.signed('1.root.json')],
    ...['--key', scene.key('r2')],
  );
  t.match((await submit(scene, carried)).data, { state: 'published' });
  // The draft stands for a version that is published.
  t.match((await scene.pending('list', '--all')).data.changes, [{ state: 'stale' }]);
});

t.test('signatures that were made apart meet at the service', async (t) => {
  const scene = await team(t);
  const first = await scene.renewed('2.root.json', 'r1');
  const copy = scene.at('copy.json');
  const { signed } = JSON.parse(readFileSync(first, 'utf8'));
  writeFileSync(copy, JSON.stringify({ signatures: [], signed }));
  await operator('sign', copy, '--yes', '--key', scene.key('r2'));
  t.match((await submit(scene, first)).data, { state: 'pending' });
  t.match((await submit(scene, copy)).data, {
    state: 'pending',
    draft: { state: 'queued', files: [{ signed_by: { length: 2 } }] },
  });
});

t.test('root and targets together, by who may sign which', async (t) => {
  const scene = await team(t);
  await operator('key', 'make', '--out', scene.key('t4'));
  const id = (await operator('key', 'show', scene.at('t1.pub.json'))).data.keyid;
  const { data: made } = await operator(
    ...['key', 'compromised', id, '--yes', '--root', scene.signed('1.root.json')],
    ...['--targets', scene.signed('1.targets.json'), '--new', scene.at('t4.pub.json')],
    ...['--key', scene.key('r1'), '--key', scene.key('t4'), '--out', scene.at('stolen')],
  );
  t.equal(made.complete, false);
  const files = ['2.root.json', '2.targets.json'].map((name) => scene.at('stolen', name));
  const { data } = await submit(scene, ...files);
  t.match(data, { state: 'pending', role: 'root and targets' });
  const one = await scene.pending('sign', data.id, '--key', scene.key('t2'), '--yes');
  t.match(one.data, { state: 'open', published: null });
  t.match(one.data.changes, [
    { effect: 'loses', text: /may no longer sign targets/ },
    { effect: 'gains', text: /may sign targets/ },
  ]);
  const last = await scene.pending('sign', data.id, '--key', scene.key('r2'), '--yes');
  t.match(last.data, { state: 'published', published: {} });
});

t.test('what was overtaken, what never was, and what nobody waits for', async (t) => {
  const scene = await team(t);
  const { data } = await submit(scene, await scene.renewed('2.root.json', 'r1'));
  const other = await scene.renewed('other.json', 'r2', 200);
  await operator('sign', other, '--yes', '--key', scene.key('r3'));
  // Another date, or it would be the same change.
  t.match((await submit(scene, other)).data, { state: 'published' });
  const late = await scene.pending('sign', data.id, '--key', scene.key('r2'), '--yes');
  t.match(late.error, { code: 'E_CONFLICT', message: /root 2 stands/ });
  t.equal((await scene.pending('show', '0'.repeat(12))).error?.code, 'E_NOT_FOUND');
  t.equal((await scene.pending('show', 'abc')).error?.code, 'E_USAGE');
  const nobody = await scene.renewed('nobody.json', 'r1').then((path) => {
    const { signed } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ signatures: [], signed: { ...signed, version: 3 } }));
    return path;
  });
  t.equal((await submit(scene, nobody)).error?.code, 'E_THRESHOLD', 'as it always was');
  t.equal((await scene.pending('list')).data.changes.length, 0);
});

t.test('the owner of the machine makes room', async (t) => {
  const scene = await team(t);
  const { data } = await submit(scene, await scene.renewed('2.root.json', 'r1'));
  const { data: gone } = await operator('pending', 'drop', data.id, '--dir', scene.at('repo'));
  t.match(gone, { id: data.id, state: 'dropped', error: { code: 'E_CANCELLED' } });
  const late = await scene.pending('sign', data.id, '--key', scene.key('r2'), '--yes');
  t.equal(late.error?.code, 'E_CANCELLED');
  const again = await run(program, [
    ...['pending', 'drop', data.id, '--dir', scene.at('repo'), '--json'],
  ]);
  t.equal(JSON.parse(again.stdout).error.code, 'E_NOTHING_TO_DO');
  await scene.stop();
  const nobody = await run(program, ['pending', 'list', '--dir', scene.at('repo'), '--json']);
  t.equal(JSON.parse(nobody.stdout).error.code, 'E_NOT_FOUND', 'no service runs');
});

t.test('a service that shows another change under the id is found out', async (t) => {
  const scene = await team(t);
  const { data } = await submit(scene, await scene.renewed('2.root.json', 'r1'));
  const { createServer } = process.getBuiltinModule('node:http');
  const evil = await scene.renewed('evil.json', 'r1', 200).then((path) => readFileSync(path));
  // The other change under the name that was asked for, or under its own.
  let isConsistent = false;
  const liar = createServer(async (request, response) => {
    const real = await fetch(new URL(request.url ?? '', scene.url));
    const text = Buffer.from(await real.arrayBuffer());
    response.writeHead(real.status, { 'content-type': 'application/json' });
    if (!request.url?.endsWith(data.id)) return response.end(text);
    const reply = JSON.parse(text.toString('utf8'));
    const { signed } = JSON.parse(evil.toString('utf8'));
    const other = JSON.stringify({ signatures: [], signed: { ...signed, version: 2, extra: 1 } });
    const contents = [Buffer.from(other).toString('base64')];
    if (!isConsistent) return response.end(JSON.stringify({ ...reply, contents }));
    const said = collecting(Buffer.from(other))?.signedBytes() ?? Buffer.from(other);
    const id = draftId(platformCrypto, undefined, [said]);
    return response.end(JSON.stringify({ ...reply, contents, id }));
  });
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  t.teardown(() => liar.close());
  const { port } = liar.address() as { port: number };
  for (isConsistent of [false, true]) {
    const ran = await run(program, [
      ...['pending', 'sign', data.id, '--url', `http://127.0.0.1:${port}`, '--yes', '--json'],
      ...['--key', scene.key('r2'), '--root', join(scene.folder, 'signed', '1.root.json')],
    ]);
    t.equal(JSON.parse(ran.stdout).error.code, 'E_HASH');
  }
});

// The contract of the client under test: arguments, exit codes, files, requests, start.

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { CLIENT, run, Subject } from './subject.ts';

t.test('init asks nobody, and shows the root', async (t) => {
  const subject = await Subject.begin(t);
  t.equal(await subject.init(), 0);
  t.same(subject.urls(), []);
  t.same(subject.bytes('root'), subject.sim.roots.get(1));
  t.equal(await subject.init(), 0, 'the same root again');
  t.equal(subject.trusted(), 'root 1');
});

t.test('init again does not take back what was refreshed', async (t) => {
  const subject = await Subject.initialised(t);
  subject.sim.nextRoot();
  t.equal(await subject.refresh(), 0);
  t.equal(await subject.init(), 0);
  t.match(subject.trusted(), 'root 2');
});

t.test(
  'a root that is none, or not signed: refused, and nothing is asked afterwards',
  async (t) => {
    const noVersion = (root: Uint8Array): Uint8Array => {
      const file = JSON.parse(Buffer.from(root).toString());
      delete file.signed.version;
      return utf8(JSON.stringify(file));
    };
    const wrongSignature = (root: Uint8Array): Uint8Array => {
      const file = JSON.parse(Buffer.from(root).toString());
      file.signatures[0].sig = `00${file.signatures[0].sig.slice(2)}`;
      return utf8(JSON.stringify(file));
    };
    for (const [what, edit] of Object.entries({ noVersion, wrongSignature })) {
      const subject = await Subject.begin(t);
      t.equal(await subject.init(edit(subject.sim.roots.get(1) as Uint8Array)), 1, what);
      t.equal(await subject.refresh(), 1, 'nothing is pinned');
      t.same(subject.urls(), []);
      t.equal(subject.trusted(), '');
    }
  },
);

t.test('refresh asks for what the workflow needs, in its order', async (t) => {
  const subject = await Subject.initialised(t);
  t.equal(await subject.refresh(), 0);
  const all = ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json'];
  t.same(subject.asked(), all);
  t.equal(subject.trusted(), 'root 1, snapshot 1, targets 1, timestamp 1');
  t.equal(await subject.refresh(), 0);
  t.same(subject.asked(), all.slice(0, 2), 'what is current is not asked for again');
  subject.sim.publishTimestamp();
  t.equal(await subject.refresh(), 0);
  t.same(subject.asked(), all.slice(0, 2), 'a timestamp that names the same snapshot');
  subject.sim.publish();
  t.equal(await subject.refresh(), 0);
  t.same(subject.asked(), [...all.slice(0, 2), '2.snapshot.json']);
});

t.test('nothing else in the folder ends in .json, and files are as they came', async (t) => {
  const subject = await Subject.initialised(t);
  subject.sim.overrides.set('metadata/timestamp.json', served(subject.sim.fileOf('timestamp')));
  subject.sim.delegate('targets', 'a role/ü');
  subject.sim.publish('targets');
  subject.sim.overrides.set('metadata/timestamp.json', served(subject.sim.fileOf('timestamp')));
  t.equal(await subject.download('nothing'), 1);
  const names = readdirSync(subject.metadata).filter((name) => name.endsWith('.json'));
  t.same(names.sort(), [
    'a%20role%2F%C3%BC.json',
    ...['root.json', 'snapshot.json', 'targets.json', 'timestamp.json'],
  ]);
  t.same(subject.bytes('timestamp'), served(subject.sim.fileOf('timestamp')), 'byte for byte');
});

/** The same JSON in other bytes. */
function served(file: Uint8Array): Uint8Array {
  return utf8(`${JSON.stringify(JSON.parse(Buffer.from(file).toString()), null, 3)} \n `);
}

t.test('command lines that are none: 1, and nothing is asked', async (t) => {
  const subject = await Subject.initialised(t);
  const url = `${subject.served.url}metadata/`;
  const lines: [options: string[], command: string[]][] = [
    [[], []],
    [[], ['refresh']],
    [['--metadata-url'], ['refresh']],
    [['--metadata-url', url, '--metadata-url', url], ['refresh']],
    [['--metadata-url', url, '--other', 'x'], ['refresh']],
    [
      ['--metadata-url', url],
      ['refresh', 'more'],
    ],
    [['--metadata-url', url], ['download']],
    [['--metadata-url', url, '--target-name', 'x'], ['download']],
    [['--metadata-url', 'no address'], ['refresh']],
    [['--metadata-url', 'file:///'], ['refresh']],
    [[], ['init']],
    [[], ['init', join(subject.folder, 'is not there')]],
    [['--metadata-url', url], ['toString']],
  ];
  for (const [options, command] of lines) {
    t.equal(await subject.command(options, command), 1, [...options, ...command].join(' '));
    t.not(subject.said, '', 'it says why');
  }
  t.same(subject.urls(), []);
  t.equal(subject.trusted(), 'root 1');
});

t.test('a server that fails, or is not there: 1, and asked once', async (t) => {
  const subject = await Subject.initialised(t);
  const urls: string[] = [];
  subject.served.misbehave = (request, response) => {
    urls.push(request.url ?? '');
    if (urls.length === 1) response.writeHead(500).end('no');
    else if (urls.length === 2) request.socket.destroy();
    else response.writeHead(404).end();
    return true;
  };
  t.equal(await subject.refresh(), 1, 'a server error');
  t.equal(urls.length, 1);
  t.equal(await subject.refresh(), 1, 'a connection that breaks');
  t.equal(urls.length, 2);
  t.equal(await subject.refresh(), 1, 'nothing but 404');
  t.same(urls.slice(2), ['/a%20suite/metadata/2.root.json', '/a%20suite/metadata/timestamp.json']);
  await subject.served.close();
  t.equal(await subject.refresh(), 1, 'nobody there');
  t.equal(subject.trusted(), 'root 1');
});

t.test('HTTP/1.0 without keep-alive and without a length', async (t) => {
  const subject = await Subject.initialised(t);
  subject.served.misbehave = (request, _response, path) => {
    const bytes = subject.sim.serve(path);
    const head = bytes === undefined ? 'HTTP/1.0 404 Not Found' : 'HTTP/1.0 200 OK';
    request.socket.write(`${head}\r\nServer: old\r\n\r\n`);
    request.socket.end(bytes ?? utf8('no'));
    return true;
  };
  subject.sim.addTarget('targets', 'x', utf8('content'));
  t.equal(await subject.download('x'), 0);
  t.same(subject.downloaded(), { x: 'content' });
});

t.test('files that a host damaged are replaced from the repository', async (t) => {
  const subject = await Subject.initialised(t);
  subject.sim.nextRoot();
  t.equal(await subject.refresh(), 0);
  const before = subject.trusted();
  for (const role of ['root', 'timestamp', 'snapshot', 'targets']) {
    const path = join(subject.metadata, `${role}.json`);
    for (const bytes of ['', '{}', 'x'.repeat(6_000_000)]) {
      writeFileSync(path, bytes);
      t.equal(await subject.refresh(), 0, `${role} as ${bytes.length} bytes`);
      t.equal(subject.trusted(), before);
    }
  }
});

t.test(
  'the launcher: by its path, through a link, and on the Node that is installed',
  async (t) => {
    const subject = await Subject.begin(t);
    const link = join(subject.folder, 'entry');
    symlinkSync(CLIENT, link);
    writeFileSync(join(subject.folder, 'root.json'), subject.sim.roots.get(1) as Uint8Array);
    const init = (folder: string): string[] => [
      ...['--metadata-dir', join(subject.folder, folder)],
      ...['init', join(subject.folder, 'root.json')],
    ];
    t.equal((await run([CLIENT, ...init('one')])).code, 0, 'by its path');
    t.equal((await run([link, ...init('two')])).code, 0, 'through a link');
    t.equal((await run([link, 'nonsense'])).code, 1);
    // From anywhere, and with a Node in the way that runs nothing.
    const fake = join(subject.folder, 'bin');
    mkdirSync(fake);
    writeFileSync(join(fake, 'node'), '#!/bin/sh\nexit 7\n', { mode: 0o755 });
    const path = `${fake}${delimiter}${process.env.PATH}`;
    t.equal((await run(['/usr/bin/env', `PATH=${path}`, CLIENT, ...init('three')])).code, 0);
  },
);

t.test('folders are made when they are not there, and may be strange', async (t) => {
  const subject = await Subject.begin(t);
  const odd = join(subject.folder, 'a b', '%2e%2e', 'ü');
  mkdirSync(dirname(odd), { recursive: true });
  const root = join(subject.folder, 'r');
  writeFileSync(root, subject.sim.roots.get(1) as Uint8Array);
  chmodSync(root, 0o400);
  const at = ['--metadata-dir', odd];
  t.equal((await run([CLIENT, ...at, 'init', root])).code, 0);
  const url = ['--metadata-url', `${subject.served.url}metadata`];
  t.equal((await run([CLIENT, ...url, ...at, 'refresh'])).code, 0, 'no / at the end');
  t.same(subject.asked().length, 4);
  t.equal(JSON.parse(readFileSync(join(odd, 'targets.json'), 'utf8')).signed.version, 1);
});

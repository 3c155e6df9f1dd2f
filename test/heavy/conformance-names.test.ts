// Names of roles and targets on the wire and on the disk: encoded once, and never a way out.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Subject } from '../conformance/subject.ts';
import { digest } from '../support/simulator.ts';

/** RFC 3986 2.3: everything but the unreserved characters, as upper-case hexadecimal of UTF-8. */
function quoted(name: string): string {
  return [...utf8(name)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9._~-]/.test(char)
        ? char
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

const ROLES = [
  ...['?', '#', '%', '%2F', '%2e%2e', '&', '+', ' ', '"', "'()*!", '\\', '\u{1f511}', 'é', '~'],
  ...['/role', '../role', 'role/with/slash', '..', '.', 'a/../../b', '2.root', 'root.json', '1'],
  ...['-role', '.hidden', '__proto__', 'con', 'line\nbreak', 'r'.repeat(200)],
];

t.test('names of roles', async (t) => {
  const subject = await Subject.initialised(t);
  for (const role of ROLES) subject.sim.delegate('targets', role);
  // All of them in one run would be more than a walk may visit: each has paths of its own.
  subject.sim.targets.delegations?.roles?.forEach((role, i) => {
    role.paths = [`${i}-*`];
  });
  subject.sim.publish('targets');
  const names = ROLES.map((_, i) => `${i}-x`);
  for (const [i, role] of ROLES.entries())
    subject.sim.addTarget(role, names[i] as string, utf8(role));
  t.equal(await subject.download(names), 0, subject.said);
  const asked = subject.asked().slice(4);
  t.same(
    asked,
    ROLES.map((role) => `1.${quoted(role)}.json`),
  );
  for (const role of ROLES) t.ok(existsSync(join(subject.metadata, `${quoted(role)}.json`)), role);
  const shown = readdirSync(subject.metadata).filter((name) => name.endsWith('.json'));
  t.equal(shown.length, 4 + ROLES.length, 'and nothing else');
  t.same(readdirSync(subject.folder).sort(), ['metadata', 'pinned.json', 'targets'], 'nor outside');
  t.equal(await subject.download(names), 0);
  t.same(subject.asked().slice(2), [], 'what is stored under such a name is found again');
});

const PATHS = [
  ...['a', 'a/b/c.txt', 'a b', '?', '#', 'a?b#c', '%', '%2F', '%2e%2e/a', '&=+,;:@$', '"', "'()*!"],
  ...[
    'ü',
    '\u{1f511}/k',
    '-x',
    '--target-name',
    '.hidden',
    '...',
    'a.json',
    '__proto__',
    '~',
    '[x]',
  ],
  'l'.repeat(250),
  `${'ü'.repeat(60)}/${'x'.repeat(100)}`,
];

t.test('names of targets', async (t) => {
  const subject = await Subject.initialised(t);
  for (const path of PATHS) subject.sim.addTarget('targets', path, utf8(`at ${path}`));
  subject.sim.publish('targets');
  t.equal(await subject.download(PATHS), 0, subject.said);
  t.same(Object.values(subject.downloaded()).sort(), PATHS.map((path) => `at ${path}`).sort());
  for (const name of Object.keys(subject.downloaded())) t.notMatch(name, '/', 'all in one folder');
  const urls = subject.urls().filter((url) => url.startsWith('targets/'));
  for (const [i, path] of PATHS.entries()) {
    const cut = path.lastIndexOf('/') + 1;
    const file = `${digest('sha256', utf8(`at ${path}`))}.${path.slice(cut)}`;
    const url = urls[i] as string;
    t.equal(decodeURIComponent(url), `targets/${path.slice(0, cut)}${file}`, url);
    t.match(url, /^[\w.~!'()*/%-]+$/, 'nothing is on the wire as it is that could mean something');
  }
});

t.test('paths that lead elsewhere, or are none', async (t) => {
  const subject = await Subject.initialised(t);
  const paths = ['../x', 'a/../../x', '/etc/x', '.', '..', 'a//b', 'a/', '', 'a\\..\\x', 'a\u0001'];
  for (const path of paths) {
    const bytes = utf8('elsewhere');
    subject.sim.targets.targets[path] = {
      length: bytes.length,
      hashes: { sha256: digest('sha256', bytes) },
    };
  }
  subject.sim.publish('targets');
  t.equal(await subject.refresh(), 0, 'that they are listed stops nobody');
  for (const path of paths) {
    t.equal(await subject.download(path), 1, JSON.stringify(path));
    t.match(subject.said, /E_NAME/);
  }
  t.same(subject.downloaded(), {});
  t.same(
    subject.urls().filter((url) => !url.startsWith('metadata/')),
    [],
  );
});

// Names from outside, and the files that they become (CVE-2021-41131, CVE-2026-6968).

import fc from 'fast-check';
import t from 'tap';
import { handoff, hashPrefixed, store, tree } from '../../shared/layout.ts';
import {
  encodeRoleName,
  parseArtifactPath,
  parseTargetPath,
  parseVendorName,
} from '../../shared/tuf/names.ts';

t.test('a role name becomes one plain segment, whatever it is', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 15 }), (role) => {
      // A grapheme can have many code points; what no file system takes is refused, below.
      fc.pre(encodeURIComponent(role).length <= 150);
      const name = `${encodeRoleName(role)}.json`;
      return (
        /^[A-Za-z0-9._~%-]+$/.test(name) &&
        name !== '.' &&
        name !== '..' &&
        decodeURIComponent(name) === `${role}.json`
      );
    }),
  );
  t.equal(encodeRoleName('../../etc/passwd'), '..%2F..%2Fetc%2Fpasswd');
  t.equal(encodeRoleName("a!'()*b"), 'a%21%27%28%29%2Ab');
  for (const bad of ['', '\ud800', 'é'.repeat(60)]) {
    t.throws(() => encodeRoleName(bad), { code: 'E_NAME' });
  }
});

t.test('two roles never share a file', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, maxLength: 8 }),
      fc.string({ minLength: 1, maxLength: 8 }),
      (a, b) => (a === b ? true : encodeRoleName(a) !== encodeRoleName(b)),
    ),
  );
  t.not(tree.metadata('1.root', 1), tree.metadata('root', 11));
  t.equal(store.metadata('a/b'), 'metadata/a%2Fb.json');
  t.equal(handoff.target('acme/nic/1/x'), 'targets/acme%2Fnic%2F1%2Fx');
});

t.test('target paths', async (t) => {
  for (const good of ['a', 'a/b', 'a b/ü', '...', '.hidden/x', '-', 'a%2Fb', 'C:']) {
    t.equal(parseTargetPath(good), good);
  }
  const bad = ['', '/', '/a', 'a/', 'a//b', '.', './a', 'a/.', '..', '../a', 'a/../b', 'a\\b'];
  for (const path of [...bad, 'a\u0000', 'a\nb', 'a\u007f', `${'a/'.repeat(512)}a`]) {
    t.throws(() => parseTargetPath(path), { code: 'E_NAME' }, JSON.stringify(path.slice(0, 20)));
  }
  t.equal(hashPrefixed('a/b/c.js', 'ff00'), 'a/b/ff00.c.js');
  t.equal(hashPrefixed('c.js', 'ff00'), 'ff00.c.js');
});

t.test('artifact paths and vendors', async (t) => {
  t.strictSame(parseArtifactPath('acme/edu/1.0.0+b~1/edu_driver.js'), {
    vendor: 'acme',
    product: 'edu',
    version: '1.0.0+b~1',
    file: 'edu_driver.js',
  });
  for (const path of [
    'acme/edu/1',
    'acme/edu/1/a/b',
    'Acme/edu/1/x',
    'acme/.edu/1/x',
    'acme/é/1/x',
    'root/a/b/c',
  ]) {
    t.throws(() => parseArtifactPath(path), { code: 'E_NAME' }, path);
  }
  for (const name of ['', '-a', 'A', 'a.b', 'a'.repeat(33), 'targets', 'revocations', 'mirrors']) {
    t.throws(() => parseVendorName(name), { code: 'E_NAME' }, name);
  }
  t.equal(parseVendorName('3ware'), '3ware');
});

/** Package URLs in spellings by which a bill could list a thing and not be found to. */

import t from 'tap';
import { isPackage, type Purl, parsePurl } from '../../shared/evidence/purl.ts';

function read(text: string): Purl {
  const purl = parsePurl(text);
  if (purl === undefined) throw new Error(`${text} is no package URL`);
  return purl;
}
const names = (wanted: string, found: string): boolean => isPackage(read(wanted), read(found));

t.test('another spelling is the same package', async (t) => {
  for (const found of [
    'pkg:npm/left-pad@1.0.0',
    'pkg:NPM/Left-Pad@1.0.0',
    'pkg:npm//left-pad@1.0.0',
    'pkg:npm/%2F/left-pad@1.0.0',
    'pkg://npm/left-pad@1.0.0',
    'pkg:npm/%6ceft-pad@1%2E0.0',
    'pkg:npm/left-pad@1.0.0?arch=&os=linux#lib',
    'pkg:npm/left-pad@1.0.0?',
    'pkg:npm/left\t-pad@1.0.0',
  ])
    for (const wanted of ['pkg:npm/left-pad', 'pkg:npm/left-pad@', 'pkg:npm/left-pad@1.0.0'])
      t.ok(names(wanted, found), `${wanted} names ${found}`);
  t.equal(read('pkg:npm/left-pad@').version, undefined, 'what is empty is not there');
  t.notOk(names('pkg:npm/left-pad@1.0.0', 'pkg:npm/left-pad@1.0.1'));
  t.notOk(names('pkg:npm/left-pad', 'pkg:npm/%40acme/left-pad@1.0.0'));
});

t.test('what two readers would take for two things is none', async (t) => {
  for (const text of [
    'pkg:npm/left-pad/@1.0.0',
    'pkg:npm/left-pad@1.0.0@',
    'pkg:npm/left-pad@1.0.0?arch=arm64&arch=amd64',
    'pkg:npm/left-pad@1.0.0?ARCH=arm64&arch=amd64',
    'pkg:npm/left-pad@1.0.0?arch=&arch=amd64',
    'pkg:npm/left-pad@1.0.0?=amd64',
    'pkg:npm/left-pad@1.0.0?%61rch=amd64',
    'pkg:npm/left-pad@1.0.0?__proto__=amd64',
    'PKG:npm/left-pad@1.0.0',
    `pkg:npm/left-pad@1.0.0?x=${'x'.repeat(2048)}`,
  ])
    t.equal(parsePurl(text), undefined, text.slice(0, 60));
});

t.test('a qualifier that is wanted is compared; one that is not said may be that', async (t) => {
  const wanted = 'pkg:deb/debian/openssl@3.0.1?arch=arm64';
  const deb = (rest: string): boolean => names(wanted, `pkg:deb/debian/openssl@3.0.1${rest}`);
  t.ok(deb('?arch=arm64'));
  t.ok(deb('?distro=trixie&ARCH=arm64'));
  t.ok(deb(''), 'it does not say');
  t.ok(deb('?arch='), 'nor does this');
  t.notOk(deb('?arch=amd64'));
  t.ok(names('pkg:deb/debian/openssl', 'pkg:deb/debian/openssl@3.0.1?arch=amd64'));
});

t.test('checksums are compared by algorithm', async (t) => {
  const sum = (wanted: string, found: string): boolean =>
    names(`pkg:generic/x@1?checksum=${wanted}`, `pkg:generic/x@1?checksum=${found}`);
  t.ok(sum('sha256:ab', 'SHA256:AB'));
  t.ok(sum('sha256:ab', 'sha1:00,sha256:ab'), 'another beside it takes nothing away');
  t.ok(sum('sha256:ab,sha1:00', 'sha256:ab'));
  t.ok(sum('sha256:ab', 'sha1:00'), 'it does not say');
  t.notOk(sum('sha256:ab', 'sha256:ac'));
  t.notOk(sum('sha256:ab,sha1:00', 'sha256:ab,sha1:01'));
});

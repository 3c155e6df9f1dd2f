// Bytes that crash a parser before any signature was looked at.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { made, refused } from './client-support.ts';

t.test('CVE-2026-23991, go-tuf #749: hostile JSON ends it with exit status 1', async (t) => {
  const hostile = ['null', '{"signed":null,"signatures":null}', '['.repeat(60_000), '\ufeff{}'];
  for (const [file, trusted] of [
    ['2.root', 'root 1'],
    ['timestamp', 'root 1'],
    ['2.snapshot', 'root 1, timestamp 2'],
    ['2.targets', 'root 1, snapshot 2, timestamp 2'],
    ['1.A', 'root 1, snapshot 2, targets 2, timestamp 2'],
  ] as const) {
    const subject = await made(t);
    for (const text of hostile) {
      subject.sim.overrides.set(`metadata/${file}.json`, utf8(text));
      await refused(t, subject, 'file', `${file} ${text.slice(0, 20)}`);
      t.equal(subject.trusted(), trusted);
    }
  }
});

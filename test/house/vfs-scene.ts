/** Virtual functions made and removed once, on a host of their own. */

import type { Test } from 'tap';
import { must } from '../../scripts/demo/support/programs.ts';
import { PF_NAME, vfScene } from '../agent/vfs-support.ts';

export async function vfsWork(): Promise<void> {
  const ends: (() => unknown)[] = [];
  const host = { teardown: (end: () => unknown) => void ends.push(end) } as unknown as Test;
  const { pf, policy } = await vfScene(host);
  const agent = (...args: string[]) => must('ironport-agent', args);
  const wanted = [PF_NAME, ...pf, '--count', '2', '--policy', policy];
  try {
    await agent('vfs', 'plan', ...wanted);
    await agent('vfs', 'create', ...wanted);
    await agent('list', ...pf.slice(0, 4));
    await agent('status', ...pf.slice(0, 4));
    await agent('vfs', 'remove', ...pf);
  } finally {
    for (const end of ends) await end();
  }
}

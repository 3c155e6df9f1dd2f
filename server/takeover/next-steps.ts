/** What the operators do after a repository was taken over, as commands that can be copied. */

import { join } from 'node:path';
import { data, tree } from '../../shared/layout.ts';
import type { Root } from '../../shared/tuf/root.ts';

export function nextSteps(home: string, root: Root): string[] {
  const keys = join(home, data.onlineKeys);
  const [one, two] = [root.version + 1, root.version + 2];
  const { keyids, threshold } = root.roles.root;
  return [
    `make the keys of the service:`,
    ...(['snapshot', 'timestamp'] as const).map(
      (role) => `  ironport-repo key make --out ${join(keys, `${role}.json`)}`,
    ),
    `make the root that names them beside the old ones; ${threshold} of the ${keyids.length} old root keys sign it, with --key here, with \`ironport-repo sign\` or \`pending sign\` elsewhere, or with the tools that signed the roots before it:`,
    `  ironport-repo root rotate --root ${join(home, data.tree, tree.metadata('root', root.version))} --add-snapshot ${join(keys, 'snapshot.pub.json')} --add-timestamp ${join(keys, 'timestamp.pub.json')} --key OLD-ROOT-KEY --out ${one}.root.json`,
    `serve the repository under the address that its hosts know, and hand the root in:`,
    `  ironport-repo serve --dir ${home}`,
    `  ironport-repo submit ${one}.root.json`,
    `when the service has signed a timestamp of its own, let go of the old online keys:`,
    `  ironport-repo root rotate --root ${one}.root.json --replace-snapshot ${join(keys, 'snapshot.pub.json')} --replace-timestamp ${join(keys, 'timestamp.pub.json')} --key OLD-ROOT-KEY --out ${two}.root.json`,
  ];
}

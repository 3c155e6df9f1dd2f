/** `import`: takes over a repository that other tools made, with its root and its versions. */

import { resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { formatInstant } from '../../shared/time.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { nextSteps } from '../takeover/next-steps.ts';
import { openSource } from '../takeover/source.ts';
import { takeOver } from '../takeover/take-over.ts';

export const importRepository: CommandSpec = {
  name: 'import',
  summary: 'take over a TUF repository of other tools, with its root and versions',
  description:
    'Reads a folder or an address of a repository as python-tuf or tuftool make one, verifies all of it from the first root, which you give, as a client does, and puts it into a new folder: the chain of roots, the newest version of every role, and every target, each with its name and bytes, key ids and signatures as they are. Hosts that pinned an old root go on without noticing. What has no place here is said before anything is written. Versions older than the newest are left behind. It ends with the commands that follow: a root that names the keys of this service, signed by the old root keys.',
  options: [
    { ...DIR_OPTION, description: "the service's folder that will be; absent, or empty" },
    {
      flags: '--from <place>',
      description: 'the repository: a folder, or the address below which it lies',
      required: true,
    },
    { flags: '--root <file>', description: 'its root 1, as you trust it', required: true },
    {
      flags: '--metadata <path>',
      description: 'where metadata lies below it; . for the place itself',
      default: 'metadata',
    },
    { flags: '--targets <path>', description: 'where targets lie below it', default: 'targets' },
    {
      flags: '--dry-run',
      description: 'verify all of it, write nothing, and list what is in the way',
    },
  ],
  examples: [
    'ironport-repo import --from /srv/tuf --root 1.root.json --dir repo-data --dry-run',
    'ironport-repo import --from https://tuf.example/repo --metadata . --root 1.root.json',
  ],
  schema: 'ironport-repo/import/v1',
  async run(context) {
    const home = homeOf(context);
    const from = context.need('from');
    const isDryRun = context.flag('dry-run');
    const isAddress = /^[a-z][a-z0-9+.-]*:\/\//.test(from);
    const source = openSource(
      {
        from: isAddress ? from : resolve(from),
        metadata: context.need('metadata'),
        targets: context.need('targets'),
      },
      context.signal,
    );
    const progress = context.ui.progress('targets');
    try {
      const { found, targets, bytes, obstacles } = await takeOver({
        ...{ source, home, crypto: platformCrypto, clock: systemClock, dryRun: isDryRun },
        pinned: await readFileCapped(context.need('root'), METADATA_LIMITS.root),
        signal: context.signal,
        onBytes: (count) => progress.advance(count),
      });
      progress.done();
      for (const note of found.notes) context.ui.note(note);
      for (const { role, expires } of found.expired)
        context.ui.warn(`${role} expired at ${formatInstant(expires)}: hosts refuse it already`);
      for (const role of found.unreachable)
        context.ui.note(`nothing delegates to ${role} any more; it stays listed, as it must`);
      const free = obstacles.length === 0;
      const steps = nextSteps(home, found.root);
      return {
        data: {
          home,
          from,
          dry_run: isDryRun,
          root: found.root.version,
          ...found.versions,
          roles: [...found.roles].map(([role, version]) => ({ role, version })),
          targets,
          bytes,
          obstacles,
          expired: found.expired.map(({ role }) => role),
          unreachable: found.unreachable,
          notes: found.notes,
          next: steps,
        },
        text: [
          `root ${found.root.version}, timestamp ${found.versions.timestamp}, snapshot ${found.versions.snapshot}, ${found.listing.size} roles and ${targets} targets verified from the given root`,
          ...obstacles.map(({ at, what }) => `in the way: ${at}: ${what}`),
          ...(isDryRun
            ? [free ? 'nothing is in the way, and nothing was written' : 'nothing was written']
            : [`${home} holds the same; what follows:`, ...steps]),
        ].join('\n'),
        ...(free ? {} : { exit: 16 }),
      };
    } finally {
      await source.close();
    }
  },
};

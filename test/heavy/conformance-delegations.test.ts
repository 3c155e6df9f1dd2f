// Which delegated roles are asked for a path, in which order, and what they may say.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Subject } from '../conformance/subject.ts';
import { testKey } from '../support/keys.ts';
import { digest, type Simulator } from '../support/simulator.ts';

/** Edges as `delegator>role`, `!` behind a terminating one, `=PATTERN` behind one of its own. */
function graph(sim: Simulator, ...edges: string[]): void {
  for (const text of edges) {
    const [, from = '', to = '', end, pattern = '*'] =
      /^(\w+)>(\w+)(!?)(?:=(.*))?$/.exec(text) ?? [];
    sim.delegate(from, to, { terminating: end === '!', paths: [pattern] });
  }
}

/** Downloads `path` of a repository made by `edit`; returns the code and the roles asked for. */
async function search(
  t: Parameters<typeof Subject.begin>[0],
  path: string,
  edit: (sim: Simulator) => void,
): Promise<{ code: number | null; roles: string[]; subject: Subject }> {
  const subject = await Subject.initialised(t);
  edit(subject.sim);
  subject.sim.publish('targets');
  const code = await subject.download(path);
  const roles = subject.asked().slice(4);
  return { code, roles: roles.map((name) => name.replace(/^1\.(.*)\.json$/, '$1')), subject };
}

const ORDERS: Readonly<Record<string, readonly [edges: string[], roles: string]>> = {
  'one role': [['targets>A'], 'A'],
  'two, in the order of the file': [['targets>B', 'targets>A'], 'B A'],
  'two levels': [['targets>A', 'targets>B', 'B>C'], 'A B C'],
  'depth first': [['targets>A', 'targets>B', 'A>C', 'A>D'], 'A C D B'],
  'three levels': [['targets>A', 'targets>B', 'A>C', 'C>D'], 'A C D B'],
  'terminating: nothing after it': [['targets>A', 'targets>B', 'A>C!', 'A>D'], 'A C'],
  'terminating: what is below it': [['targets>A', 'targets>B', 'A>C!', 'C>D'], 'A C D'],
  'terminating, and not for this path': [['targets>A!=*.py', 'targets>B'], 'B'],
  'a branch that is not for this path': [['targets>A=*.py', 'targets>B', 'A>C'], 'B'],
  'a deeper one': [['targets>A', 'targets>B', 'A>C=*.py', 'C>D'], 'A B'],
  'a cycle': [['targets>A', 'targets>B', 'B>C', 'C>D', 'D>B'], 'A B C D'],
  'a role that delegates to itself': [['targets>A', 'A>A', 'targets>B'], 'A B'],
  'a diamond': [['targets>A', 'targets>B', 'B>C', 'A>C'], 'A C B'],
  'a diamond, one way not for this path': [['targets>A', 'targets>B', 'B>C', 'A>C=*.py'], 'A B C'],
};

t.test('the order of the walk', async (t) => {
  for (const [name, [edges, roles]] of Object.entries(ORDERS)) {
    const found = await search(t, 'missing', (sim) => graph(sim, ...edges));
    t.equal(found.code, 1, name);
    t.equal(found.roles.join(' '), roles, name);
  }
});

t.test('who speaks for a path', async (t) => {
  const tree = (sim: Simulator): void => {
    sim.delegate('targets', 'A', { paths: ['*.doc', '*.md'] });
    sim.delegate('targets', 'B', { paths: ['releases/*/*'] });
    sim.delegate('B', 'C', { paths: ['releases/x/*'] });
    sim.delegate('B', 'D', { paths: ['releases/y/*.zip'] });
    sim.addTarget('targets', 'plain', utf8('of targets'));
    sim.addTarget('A', 'README.md', utf8('of A'));
    sim.addTarget('A', 'dir/README.md', utf8('of A, outside its pattern'));
    sim.addTarget('C', 'releases/x/1', utf8('of C'));
    sim.addTarget('D', 'releases/y/1.zip', utf8('of D'));
    sim.addTarget('D', 'releases/z/1.zip', utf8('of D, outside its pattern'));
  };
  const cases: Record<string, [roles: string, content: string | undefined]> = {
    plain: ['', 'of targets'],
    'README.md': ['A', 'of A'],
    'dir/README.md': ['', undefined],
    'releases/x/1': ['B C', 'of C'],
    'releases/y/1.zip': ['B D', 'of D'],
    'releases/z/1.zip': ['B', undefined],
  };
  for (const [path, [roles, content]] of Object.entries(cases)) {
    const found = await search(t, path, tree);
    t.equal(found.code, content === undefined ? 1 : 0, path);
    t.equal(found.roles.join(' '), roles, path);
    t.same(Object.values(found.subject.downloaded()), content === undefined ? [] : [content]);
  }
});

t.test('wildcards stay in their segment', async (t) => {
  const cases: [pattern: string, path: string, matches: boolean][] = [
    ['*', 'a/b', false],
    ['a/*', 'a/b', true],
    ['a/*', 'a/b/c', false],
    ['a?b', 'a/b', false],
    ['a?b', 'aüb', true],
    ['a?b', 'a\u{1f600}b', true],
    ['*.tgz', '.tgz', true],
    ['[ab]', 'a', false],
    ['[ab]', '[ab]', true],
    ['a**b', 'axb', true],
    ['a\\*', 'ab', false],
    ['a/*/c', 'a//c', false],
  ];
  for (const [pattern, path, matches] of cases) {
    const found = await search(t, path, (sim) => {
      sim.delegate('targets', 'A', { paths: [pattern] });
    });
    t.equal(found.roles.join(), matches ? 'A' : '', `${pattern} and ${path}`);
  }
});

t.test('a diamond: each way into a role has keys of its own (TOB-SIGSTORE-14)', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['a/*'] });
  sim.delegate('targets', 'B', { paths: ['b/*'] });
  sim.delegate('A', 'shared', { paths: ['a/*'], keys: [testKey('owner')] });
  sim.delegate('B', 'shared', { paths: ['b/*'], keys: [testKey('another')] });
  sim.signers.set('shared', [testKey('owner')]);
  sim.addTarget('shared', 'a/file', utf8('a'));
  sim.addTarget('shared', 'b/file', utf8('b'));
  sim.publish('targets');
  t.equal(await subject.download('a/file'), 0);
  t.equal(await subject.download('b/file'), 1, 'though it is stored, and good by the other way');
  t.equal(await subject.download(['a/file', 'b/file']), 1, 'in one run too');
  t.equal(await subject.download(['b/file', 'a/file']), 1);
  t.same(subject.downloaded(), { 'a%2Ffile': 'a' });
});

t.test(
  'roles signed by a stranger or by too few, and a delegator that asks for more',
  async (t) => {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    const keys = [testKey('one'), testKey('two')];
    sim.delegate('targets', 'A', { keys, threshold: 2 });
    sim.addTarget('A', 'x', utf8('x'));
    for (const signers of [[], [testKey('stranger')], keys.slice(0, 1)]) {
      sim.signers.set('A', signers);
      sim.publish('targets', 'A');
      t.equal(await subject.download('x'), 1);
      t.notMatch(subject.trusted(), /^A /);
    }
    sim.signers.set('A', keys);
    sim.publish('A');
    t.equal(await subject.download('x'), 0);
    const [edge] = sim.targets.delegations?.roles ?? [];
    if (edge !== undefined) edge.threshold = 3;
    sim.publish('targets');
    t.equal(await subject.download('x'), 1, 'the stored file no longer counts');
  },
);

t.test('hash prefixes and succinct bins', async (t) => {
  const hash = (path: string): string => digest('sha256', utf8(path));
  const byPrefix = await search(t, 'some/file', (sim) => {
    const prefix = hash('some/file').slice(0, 3);
    sim.delegate('targets', 'no', { prefixes: [`${prefix}x`, hash('other').slice(0, 8)] });
    sim.delegate('targets', 'yes', { prefixes: ['ff'.repeat(33), prefix] });
    sim.addTarget('no', 'some/file', utf8('no'));
    sim.addTarget('yes', 'some/file', utf8('yes'));
  });
  t.equal(byPrefix.code, 0);
  t.same(byPrefix.roles, ['yes']);
  for (const bits of [1, 3, 8, 9]) {
    const width = Math.ceil(bits / 4);
    const number = Number.parseInt(hash('a/b').slice(0, 8), 16) >>> (32 - bits);
    const bin = `bin-${number.toString(16).padStart(width, '0')}`;
    const succinct = await search(t, 'a/b', (sim) => {
      sim.delegateBins('targets', bits, 'bin');
      sim.addTarget(bin, 'a/b', utf8('in its bin'));
    });
    t.equal(succinct.code, 0, `${bits} bits`);
    t.same(succinct.roles, [bin]);
    t.same(succinct.subject.downloaded(), { 'a%2Fb': 'in its bin' });
  }
});

t.test('delegated roles: hashes, versions, absence', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.withHashes = true;
  sim.delegate('targets', 'A');
  sim.addTarget('A', 'x', utf8('x'));
  sim.publish('targets', 'A');
  const good = sim.fileOf('A');
  sim.overrides.set('metadata/2.A.json', utf8(`${Buffer.from(good)} `));
  t.equal(await subject.download('x'), 1, 'other bytes than the snapshot has the hash of');
  sim.overrides.set('metadata/2.A.json', null);
  t.equal(await subject.download('x'), 1, 'not there');
  sim.overrides.clear();
  t.equal(await subject.download('x'), 0);
  sim.withHashes = false;
  sim.publish('A');
  sim.overrides.set('metadata/3.A.json', good);
  t.equal(await subject.download('x'), 1, 'version 2 where the snapshot says 3');
  t.match(subject.trusted(), /^A 2,/);
});

t.test('thirty-two roles and no more', async (t) => {
  const subject = await Subject.initialised(t);
  for (let i = 1; i <= 40; i++) graph(subject.sim, `targets>r${i}`);
  subject.sim.addTarget('r32', 'x', utf8('x'));
  subject.sim.addTarget('r33', 'y', utf8('y'));
  subject.sim.publish('targets');
  t.equal(await subject.download('x'), 0);
  subject.urls();
  t.equal(await subject.download('y'), 1);
  t.notOk(subject.asked().includes('1.r33.json'));
});

import { readFile } from 'node:fs/promises';
import { isIronError, openRepository } from 'ironport';

const [address = 'https://drivers.example', name = 'acme/edu/1.0.0/edu.js'] = process.argv.slice(2);
const repository = await openRepository({
  address,
  signal: AbortSignal.timeout(60_000),
  onNotice: (text) => console.warn(text),
});
try {
  await repository.pin(await readFile('root.json'));
  let received = 0;
  const { verdict, checks } = await repository.getVerified(name, 'driver.js', {
    onStart: (path, length) => console.log(`${path}: ${length} bytes`),
    onBytes: (bytes) => {
      received += bytes;
    },
  });
  console.log(`${received} bytes, ${checks.length} checks, signed by ${verdict.vendor.name}`);
} catch (error) {
  if (!isIronError(error)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = error.exit;
} finally {
  await repository.close();
}

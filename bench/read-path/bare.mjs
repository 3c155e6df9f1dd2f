// What Node itself can do: a server that has the files in memory and looks at nothing but the path.
// Prints its port once it listens.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const [folder, ...paths] = process.argv.slice(2);
const files = new Map(paths.map((path) => [`/${path}`, readFileSync(join(folder, path))]));

const server = createServer((request, response) => {
  const bytes = files.get(request.url);
  if (bytes === undefined) {
    response.writeHead(404, { 'content-length': 0 }).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => process.exit());

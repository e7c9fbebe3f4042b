// Serves the files of one folder to a fleet's hosts. Arguments: the folder, the address and the port to bind.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';

const [folder, address, port] = process.argv.slice(2);

createServer((request, response) => {
  const path = join(folder, basename(decodeURIComponent(new URL(request.url, 'http://host').pathname)));
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-length': found.size, 'last-modified': found.mtime.toUTCString() });
  if (request.method === 'HEAD') response.end();
  else createReadStream(path).pipe(response);
}).listen(Number(port), address, () => console.log(`up repository ${process.pid}`));

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  chooseMirror,
  findMirror,
  parseDeb822,
  parseOneLine,
  sourcesFor,
} from '../../../../src/lab/debian/mirror.ts';

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

test('one-line sources: options, comments and deb-src', () => {
  const text = `# deb http://commented/debian bookworm main
deb-src http://mirror/debian bookworm main
deb [arch=amd64 signed-by=${keyring}] http://mirror/debian bookworm main contrib # all of it
  deb http://other/debian-security   bookworm-security main
nonsense
`;
  expect(parseOneLine(text)).toEqual([
    { uri: 'http://mirror/debian', suites: ['bookworm'], components: ['main', 'contrib'], signedBy: keyring },
    { uri: 'http://other/debian-security', suites: ['bookworm-security'], components: ['main'] },
  ]);
});

test('deb822 sources: folded fields, several addresses, disabled and source-only stanzas', () => {
  const text = `Types: deb deb-src
URIs: http://one/debian
 http://two/debian
Suites: bookworm
 bookworm-updates
# a comment within
Components: main

Enabled: no
Types: deb
URIs: http://disabled/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source/debian
Suites: bookworm
Components: main
`;
  const suites = ['bookworm', 'bookworm-updates'];
  expect(parseDeb822(text)).toEqual([
    { uri: 'http://one/debian', suites, components: ['main'] },
    { uri: 'http://two/debian', suites, components: ['main'] },
  ]);
});

test('a vendor with the same suite name is not the mirror', () => {
  const vendor = { uri: 'https://vendor/apt', suites: ['bookworm'], components: ['main'] };
  const archive = { uri: 'http://mirror/debian/', suites: ['bookworm'], components: ['main'] };
  const security = {
    uri: 'http://mirror/debian-security',
    suites: ['bookworm-security'],
    components: ['main'],
  };
  expect(chooseMirror([vendor, security, archive])).toEqual({
    archive: 'http://mirror/debian',
    security: 'http://mirror/debian-security',
    keyring,
  });
  const foreign = { ...archive, uri: 'https://vendor/debian', signedBy: '/etc/apt/keyrings/vendor.gpg' };
  expect(chooseMirror([foreign])).toBeNull();
});

test('a machine without a Debian mirror is told so', async () => {
  const etc = mkdtempSync(join(tmpdir(), 'blkfleet-etc-'));
  try {
    writeFileSync(join(etc, 'sources.list'), 'deb https://vendor/apt nodistro main\n');
    await expect(findMirror(etc)).rejects.toMatchObject({ code: 'E_FILE' });
  } finally {
    rmSync(etc, { recursive: true });
  }
});

test('updates and security come with every release, for a backports suite those of its release', () => {
  const mirror = {
    archive: 'http://m/debian',
    security: 'http://m/debian-security',
    keyring,
    aptOptions: [],
  };
  const suites = (text: string) => parseDeb822(text).map((entry) => [entry.uri, ...entry.suites]);
  expect(suites(sourcesFor(mirror, 'trixie-backports'))).toEqual([
    ['http://m/debian', 'trixie', 'trixie-updates', 'trixie-backports'],
    ['http://m/debian-security', 'trixie-security'],
  ]);
  expect(suites(sourcesFor(mirror, 'sid'))).toEqual([['http://m/debian', 'sid']]);
});

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findBadPlaces, findConflictCopies, parseMountinfo, parseMountTable } from './location.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'membridge-place-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** Makes a database file below the home folder. */
function place(...parts: string[]): string {
  const path = join(home, ...parts, 'claude-mem.db');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  return path;
}

describe('findBadPlaces', () => {
  it.each([
    [['Dropbox', 'x'], 'a Dropbox folder'],
    [['Dropbox (Personal)'], 'a Dropbox folder'],
    [['OneDrive - Contoso', 'x'], 'a OneDrive folder'],
    [['OneDrive'], 'a OneDrive folder'],
    [['Library', 'Mobile Documents', 'com~apple~CloudDocs', 'x'], 'an iCloud folder'],
    [['Library', 'CloudStorage', 'GoogleDrive-me@example.org', 'My Drive'], 'a Google Drive folder'],
    [['Library', 'CloudStorage', 'OneDrive-Personal'], 'a OneDrive folder'],
    [['Library', 'CloudStorage', 'Whatever', 'x'], 'a cloud storage folder'],
    [['iCloudDrive', 'x'], 'an iCloud folder'],
    [['Nextcloud', '.claude-mem'], 'a Nextcloud folder'],
    [['Google Drive'], 'a Google Drive folder'],
  ])('names %j as %s', (parts, what) => {
    expect(findBadPlaces(place(...parts), [])).toMatchObject([{ what }]);
  });

  it.each([
    ['.stfolder', 'a Syncthing folder'],
    ['.dropbox.cache', 'a Dropbox folder'],
    ['.sync_0123456789ab.db', 'a Nextcloud or ownCloud folder'],
    ['.tmp.drivedownload', 'a Google Drive folder'],
  ])('recognizes a folder of any name by %s in it or above it', (marker, what) => {
    const path = place('shared', 'deep', 'folder');
    mkdirSync(join(home, 'shared', marker));
    expect(findBadPlaces(path, [])).toEqual([{ what, where: join(home, 'shared') }]);
  });

  it('follows links of the folder and of the file', () => {
    const real = place('Dropbox', 'memory');
    symlinkSync(dirname(real), join(home, '.claude-mem'));
    expect(findBadPlaces(join(home, '.claude-mem', 'claude-mem.db'), [])).toHaveLength(1);
    mkdirSync(join(home, 'plain'));
    symlinkSync(real, join(home, 'plain', 'claude-mem.db'));
    expect(findBadPlaces(join(home, 'plain', 'claude-mem.db'), [])).toHaveLength(1);
    // The reverse case: only a link lies in the synced folder.
    const local = place('local');
    symlinkSync(local, join(home, 'Dropbox', 'link.db'));
    expect(findBadPlaces(join(home, 'Dropbox', 'link.db'), [])).toEqual([]);
  });

  it('checks the location of a database that does not exist yet', () => {
    mkdirSync(join(home, 'Dropbox'));
    symlinkSync(join(home, 'Dropbox'), join(home, 'linked'));
    expect(findBadPlaces(join(home, 'linked', 'later', 'claude-mem.db'), [])).toHaveLength(1);
  });

  it('accepts an ordinary folder, and a home folder with the settings of such programs', () => {
    mkdirSync(join(home, '.dropbox'));
    mkdirSync(join(home, '.config', 'syncthing'), { recursive: true });
    mkdirSync(join(home, 'Dropbox'));
    expect(findBadPlaces(place('.claude-mem'), [])).toEqual([]);
    for (const name of ['dropbox-tools', 'box', 'mega', 'my-onedrive-notes', 'cloudstorage']) {
      expect(findBadPlaces(place(name), [])).toEqual([]);
    }
    expect(findBadPlaces(place('.claude-mem'))).toEqual([]);
  });

  it.each(['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'fuse.sshfs', 'fuse.rclone', 'virtiofs', 'smbfs'])(
    'refuses a %s file system, by the mount that covers the path',
    (type) => {
      const path = place('mnt', 'x');
      const mounts = [
        { point: '/', type: 'ext4' },
        { point: join(home, 'mnt'), type },
      ];
      expect(findBadPlaces(path, mounts)).toEqual([
        { what: `a file system of another machine (${type})`, where: join(home, 'mnt') },
      ]);
      expect(findBadPlaces(path, [...mounts, { point: join(home, 'mnt'), type: 'xfs' }])).toEqual([]);
      expect(findBadPlaces(path, [{ point: join(home, 'mn'), type }])).toEqual([]);
    },
  );

  it.each(['ext4', 'btrfs', 'zfs', 'overlay', 'tmpfs', 'apfs', 'fuseblk', 'fuse.bindfs', 'ecryptfs'])(
    'accepts %s',
    (type) => {
      expect(findBadPlaces(place('x'), [{ point: '/', type }])).toEqual([]);
    },
  );
});

it('reads the mount list of Linux, with spaces in names', () => {
  const text = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /mnt/my\\040share rw - cifs //host/share rw,vers=3.1
`;
  expect(parseMountinfo(text)).toEqual([
    { point: '/', type: 'ext4' },
    { point: '/mnt/my share', type: 'cifs' },
  ]);
});

it('reads the mount list of macOS', () => {
  const text = `/dev/disk3s1s1 on / (apfs, sealed, local, read-only)
//me@nas._smb._tcp.local/home on /Volumes/my home (smbfs, nodev, nosuid, mounted by me)
`;
  expect(parseMountTable(text)).toEqual([
    { point: '/', type: 'apfs' },
    { point: '/Volumes/my home', type: 'smbfs' },
  ]);
});

it('finds the conflict copies that sync programs make when two machines changed the database', () => {
  const path = place('x');
  for (const name of [
    'claude-mem.sync-conflict-20261122-180000-ABCDEFG.db',
    "claude-mem (laptop's conflicted copy 2026-11-22).db",
    'claude-mem.db-wal',
    'claude-mem.db.before-restore-1',
  ]) {
    writeFileSync(join(dirname(path), name), '');
  }
  expect(findConflictCopies(path).sort()).toEqual([
    "claude-mem (laptop's conflicted copy 2026-11-22).db",
    'claude-mem.sync-conflict-20261122-180000-ABCDEFG.db',
  ]);
});

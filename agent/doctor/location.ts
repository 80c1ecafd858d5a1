import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';

/** Why the location of a database is dangerous. */
export interface BadPlace {
  /** The kind of place, such as "a Dropbox folder". */
  readonly what: string;
  /** The folder or mount point that causes it. */
  readonly where: string;
}

/** A mounted file system. */
interface Mount {
  readonly point: string;
  readonly type: string;
}

/** Names of folders that a program syncs with other machines, in lower case. */
const SYNCED_NAMES: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^(.+ )?dropbox( \(.*\))?$/, 'a Dropbox folder'],
  [/^onedrive( ?- ?.*)?$/, 'a OneDrive folder'],
  [/^(mobile documents|icloud ?drive|com~apple~clouddocs)$/, 'an iCloud folder'],
  [/^(google ?drive|my drive)$/, 'a Google Drive folder'],
  [/^nextcloud\d*$/, 'a Nextcloud folder'],
  [/^owncloud$/, 'an ownCloud folder'],
  [/^syncthing$/, 'a Syncthing folder'],
  [/^box sync$/, 'a Box folder'],
  [/^pcloud ?drive$/, 'a pCloud folder'],
  [/^mega ?sync$/, 'a MEGA folder'],
  [/^proton ?drive$/, 'a Proton Drive folder'],
  [/^(seafile|seadrive)$/, 'a Seafile folder'],
  [/^resilio sync$/, 'a Resilio Sync folder'],
];

/** In this folder macOS keeps the folders of every sync provider, such as "GoogleDrive-me@example.org". */
const CLOUD_STORAGE = /^cloudstorage$/;

/** Files that sync programs leave in the topmost folder that they sync, whatever its name is. */
const FOLDER_MARKERS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^\.stfolder/, 'a Syncthing folder'],
  [/^\.dropbox\.cache$/, 'a Dropbox folder'],
  [
    /^\.(sync_[0-9a-f]+\.db|_sync_[0-9a-f]+\.db|nextcloudsync\.log|owncloudsync\.log)$/,
    'a Nextcloud or ownCloud folder',
  ],
  [/^\.tmp\.drive(down|up)load$/, 'a Google Drive folder'],
  [/^\.849c9593-d756-4e56-8d6e-42412f2a707b$/, 'a OneDrive folder'],
];

/** How sync programs name their copy of a file that two machines changed. */
const CONFLICT_COPY = /sync-conflict-|conflicted copy|conflict-\d{8}|\(case conflict/i;

/** File systems of another machine, or of a virtual machine's host. SQLite's locks and -shm file do not work across them. */
const NETWORK_TYPES =
  /^(nfs\d?|cifs|smb\d?|smbfs|smb3|afpfs|webdav|davfs2?|9p|virtiofs|vboxsf|vmhgfs|prl_fs|drvfs|afs|ceph|glusterfs|lustre|beegfs|ncpfs|coda|gfs2|ocfs2|fuse\.(sshfs|rclone|s3fs|gcsfuse|goofys|glusterfs|ceph.*|davfs2?|gvfsd-fuse|vmhgfs-fuse|grpcfuse|osxfs|onedriver|google-drive-ocamlfuse|mount_.*|juicefs|nfs.*|smb.*|cifs.*)|macfuse|osxfuse)$/;

/**
 * Finds what makes the location of a database dangerous: a folder that another program syncs, or a file system of
 * another machine. Resolves links first, so that a link does not hide the location.
 * @param path the database; it may be missing
 */
export function findBadPlaces(path: string, mounts: readonly Mount[] = readMounts()): BadPlace[] {
  const real = realPathOf(path);
  const places: BadPlace[] = [];
  const synced = findSyncedFolder(dirname(real));
  if (synced !== null) places.push(synced);
  const mount = mountOf(real, mounts);
  if (mount !== null && NETWORK_TYPES.test(mount.type)) {
    places.push({ what: `a file system of another machine (${mount.type})`, where: mount.point });
  }
  return places;
}

/** Finds conflict copies of a database that a sync program made because two machines changed it. */
export function findConflictCopies(path: string): string[] {
  const folder = dirname(realPathOf(path));
  const [stem = ''] = basename(path).split('.');
  return filesIn(folder).filter((name) => name.startsWith(stem) && CONFLICT_COPY.test(name));
}

function findSyncedFolder(folder: string): BadPlace | null {
  const parts = folder.split(sep);
  for (let length = parts.length; length > 1; length -= 1) {
    const where = parts.slice(0, length).join(sep);
    const name = (parts[length - 1] ?? '').toLowerCase();
    const parent = (parts[length - 2] ?? '').toLowerCase();
    const isProvider = CLOUD_STORAGE.test(parent);
    const brand = isProvider ? (name.split('-')[0] ?? name) : name;
    const known = SYNCED_NAMES.find(([pattern]) => pattern.test(brand));
    const marked = FOLDER_MARKERS.find(([pattern]) =>
      filesIn(where).some((file) => pattern.test(file.toLowerCase())),
    );
    const what = known?.[1] ?? marked?.[1] ?? (isProvider ? 'a cloud storage folder' : undefined);
    if (what !== undefined) return { what, where };
    // Dropbox keeps its own settings under the same name in the home folder, but as a folder.
    if (isFile(join(where, '.dropbox'))) return { what: 'a Dropbox folder', where };
  }
  return null;
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Not readable for us, or not there yet.
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Resolves the links of a path, also where its end is missing. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPathOf(parent), basename(path));
  }
}

function mountOf(path: string, mounts: readonly Mount[]): Mount | null {
  let found: Mount | null = null;
  for (const mount of mounts) {
    const isAbove = path === mount.point || path.startsWith(mount.point.replace(/\/?$/, '/'));
    // Of two mounts at one point, the later one covers the earlier one.
    if (isAbove && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found;
}

/** Returns what is mounted on this machine; nothing where that cannot be determined. */
function readMounts(): Mount[] {
  if (existsSync('/proc/self/mountinfo')) return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (process.platform !== 'darwin') return [];
  try {
    return parseMountTable(execFileSync('/sbin/mount', { encoding: 'utf8', timeout: 5_000 }));
  } catch {
    return [];
  }
}

/** Parses Linux's /proc/self/mountinfo: fields separated by spaces, the type after a "-", special characters in octal. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4];
    const type = after.split(' ')[0];
    if (point === undefined || type === undefined || type === '') return [];
    return [
      {
        point: point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
          String.fromCharCode(Number.parseInt(octal, 8)),
        ),
        type,
      },
    ];
  });
}

/** Parses the output of macOS's `mount`: "//user@host/share on /Volumes/share (smbfs, nodev)". */
export function parseMountTable(text: string): Mount[] {
  return [...text.matchAll(/^.* on (\/.*) \(([a-z0-9_]+)/gm)].map(([, point = '', type = '']) => ({
    point,
    type,
  }));
}

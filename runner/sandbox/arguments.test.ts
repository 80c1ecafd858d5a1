import { describe, expect, it } from 'vitest';
import { sandboxArguments, type Shown } from './arguments.ts';

const mounts = (view: readonly Shown[]): string => {
  const { args } = sandboxArguments(view, '/work');
  return args.slice(args.indexOf('--info-fd') + 2, args.indexOf('--proc')).join(' ');
};

describe('arguments of bubblewrap', () => {
  it('begin with namespaces that end together, and end with the working folder', () => {
    const { args } = sandboxArguments([{ path: '/work', as: 'write' }], '/work');
    expect(args).toEqual(
      '--unshare-pid --unshare-ipc --unshare-uts --die-with-parent --cap-drop ALL --info-fd 3 --bind /work /work --proc /proc --dev /dev --chdir /work --'.split(
        ' ',
      ),
    );
  });

  it('mount a parent path before a path, in any order of entries', () => {
    const view: Shown[] = [
      { path: '/a/b/c', as: 'write' },
      { path: '/a-b', as: 'read' },
      { path: '/a/b', as: 'hidden-folder' },
      { path: '/a', as: 'read' },
    ];
    expect(mounts(view)).toBe('--ro-bind /a /a --ro-bind /a-b /a-b --tmpfs /a/b --bind /a/b/c /a/b/c');
  });

  it('use the later of two entries for one path', () => {
    expect(
      mounts([
        { path: '/home/me', as: 'scratch' },
        { path: '/home/me', as: 'write' },
      ]),
    ).toBe('--bind /home/me /home/me');
  });

  it('close hidden folders after all mount points below them exist', () => {
    const { args } = sandboxArguments([{ path: '/secret', as: 'hidden-folder' }], '/');
    expect(args.indexOf('--remount-ro')).toBeGreaterThan(args.indexOf('--dev'));
    expect(args[args.indexOf('--remount-ro') + 1]).toBe('/secret');
  });

  it('number the files to copy from 3', () => {
    const { args, files } = sandboxArguments(
      [
        { path: '/b', as: 'copy', from: '/host/b' },
        { path: '/a', as: 'copy', from: '/host/a' },
      ],
      '/',
    );
    expect(args.join(' ')).toContain('--info-fd 5 --file 3 /a --file 4 /b');
    expect(files).toEqual(['/host/a', '/host/b']);
  });

  it('mount a copy over a file of the machine, and write it nowhere else', () => {
    const view: Shown[] = [
      { path: '/home', as: 'write' },
      { path: '/home/in', as: 'scratch' },
      { path: '/home/a', as: 'copy', from: '/home/a' },
      { path: '/home/in/b', as: 'copy', from: '/home/in/b' },
    ];
    expect(mounts(view)).toBe(
      '--bind /home /home --bind-data 3 /home/a --tmpfs /home/in --file 4 /home/in/b',
    );
  });

  it('put an empty file over a hidden one, and links where the machine has them', () => {
    expect(
      mounts([
        { path: '/etc/shadow', as: 'hidden-file' },
        { path: '/bin', as: 'link', to: '/usr/bin' },
      ]),
    ).toBe('--symlink /usr/bin /bin --ro-bind /dev/null /etc/shadow');
  });
});

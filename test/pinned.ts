import { z } from 'zod';

const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/**
 * Returns the dependencies of a package.json that do not name exactly one version, as "name@range".
 * @param manifest the parsed package.json
 */
export function unpinnedDependencies(manifest: unknown): string[] {
  const { dependencies, devDependencies, optionalDependencies } = Manifest.parse(manifest);
  return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version))
    .map(([name, version]) => `${name}@${version}`);
}

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      integrity: z.string().optional(),
      link: z.boolean().optional(),
      optionalDependencies: z.record(z.string(), z.string()).default({}),
    }),
  ),
});

/**
 * Returns the gaps of a lock file: packages without a digest, and packages of other platforms that it does not name.
 * @param lock the parsed package-lock.json
 */
export function lockGaps(lock: unknown): string[] {
  const { packages } = Lock.parse(lock);
  const undigested = Object.entries(packages)
    .filter(
      ([path, { integrity, link }]) =>
        path !== '' && link !== true && integrity?.startsWith('sha512-') !== true,
    )
    .map(([path]) => `${path} has no digest`);
  const absent = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies)
      .filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      )
      .map((name) => `${name}, which ${path} may need, is absent`),
  );
  return [...undigested, ...absent];
}

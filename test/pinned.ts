import { z } from 'zod';

const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/**
 * Dependencies of a package.json that do not name exactly one version, as "name@range".
 * @param manifest the parsed package.json
 */
export function unpinnedDependencies(manifest: unknown): string[] {
  const { dependencies, devDependencies, optionalDependencies } = Manifest.parse(manifest);
  return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version))
    .map(([name, version]) => `${name}@${version}`);
}

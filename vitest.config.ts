import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/global-setup.ts'],
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'dist/**', '.membridge/**'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Vitest waits one second unless told: real servers on a busy machine take longer, and nothing is measured by it.
    expect: { poll: { timeout: 20_000 } },
    // Two cores: more workers than that only make the real servers slower.
    maxWorkers: 2,
    passWithNoTests: false,
    // Node runs the sources as it does in production, by stripping types.
    experimental: { viteModuleRunner: false },
  },
});

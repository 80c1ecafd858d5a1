/** Run by install.sh through stack/bootstrap.mjs, which installs the dependencies and Node 24 before any script. */
process.exit(0);

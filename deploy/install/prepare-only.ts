/** Run by install.sh through stack/bootstrap.mjs for what that brings before any script: the dependencies and Node 24. */
process.exit(0);

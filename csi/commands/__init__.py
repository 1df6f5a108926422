"""Groups of commands, one file each; `csi.cli` puts them together."""

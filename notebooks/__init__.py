"""The four notebooks of the CSI cycle, carried in the wheel as data and run by `csi.runner`."""

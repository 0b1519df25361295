package db

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// networkFilesystem names the network filesystem that dir is on; it is empty for any other.
func networkFilesystem(dir string) (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("look at the filesystem of %s: %w", dir, err)
	}
	return networkName(uint32(fs.Type)), nil //nolint:gosec // the magic numbers have 32 bits, whatever the field's type
}

func networkName(magic uint32) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB"
	default:
		return ""
	}
}

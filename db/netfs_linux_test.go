package db

import (
	"testing"
)

func TestNetworkFilesystems(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0x517b: "SMB", 0xfe534d42: "SMB", 0xff534d42: "SMB",
		0xef53: "" /* ext4 */, 0x58465342: "" /* xfs */, 0x01021994: "", /* tmpfs */
	} {
		if got := networkName(magic); got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
	if name, err := networkFilesystem(t.TempDir()); err != nil || name != "" {
		t.Errorf("the temporary directory is on %q, %v", name, err)
	}
	wantRefusal(t, onNetwork("/mnt/data", "NFS"), "DATABASE_NETWORK", "/mnt/data", "NFS", "local disk")
}

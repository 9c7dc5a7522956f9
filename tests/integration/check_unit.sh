#!/usr/bin/env bash
# Checks the service files with systemd's own tools, without starting anything: the unit has no mistake and
# is exposed by 1.5 or less, and the user and the directories come out as the unit expects them.
# Needs systemd-analyze, systemd-sysusers and systemd-tmpfiles (Debian package systemd).
set -euo pipefail
cd "$(dirname "$0")/../../systemd"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "check_unit: $*" >&2
    exit 1
}

# systemd-analyze wants the program to exist; whether it is installed is not what is checked here.
mkdir "$scratch/unit"
sed 's,^ExecStart=/usr/bin/livecanary ,ExecStart=/bin/true ,' livecanary.service >"$scratch/unit/livecanary.service"
grep -q '^ExecStart=/bin/true run ' "$scratch/unit/livecanary.service" || fail "ExecStart is not what is expected"

# An unknown key is only a warning and leaves the exit status at 0, so the output counts too.
mistakes=$(systemd-analyze verify --man=no "$scratch/unit/livecanary.service" 2>&1) || fail "verify: $mistakes"
[[ -z $mistakes ]] || fail "verify: $mistakes"

systemd-analyze security --offline=true --no-pager --threshold=15 "$scratch/unit/livecanary.service" \
    >"$scratch/security" || { cat "$scratch/security" >&2; fail "exposed by more than 1.5"; }
tail -n 1 "$scratch/security"

# In a root of its own, so that the host keeps its users. The root's ids stand for the caller's, who cannot
# give files away unless it is root.
mkdir -p "$scratch/root/etc"
systemd-sysusers --root="$scratch/root" "$PWD/livecanary.sysusers.conf" >"$scratch/sysusers" 2>&1 ||
    { cat "$scratch/sysusers" >&2; fail "sysusers"; }
grep -q '^livecanary:.*:/var/lib/livecanary:/usr/sbin/nologin$' "$scratch/root/etc/passwd" || fail "sysusers: no user"
grep -q '^livecanary:' "$scratch/root/etc/group" || fail "sysusers: no group"

sed -E "s/^(d +[^ ]+ +[0-7]+) +(root|livecanary) +livecanary$/\1 $(id -u) $(id -g)/" livecanary.tmpfiles.conf \
    >"$scratch/livecanary.conf"
mistakes=$(systemd-tmpfiles --root="$scratch/root" --create "$scratch/livecanary.conf" 2>&1) || fail "tmpfiles: $mistakes"
[[ -z $mistakes ]] || fail "tmpfiles: $mistakes"
for expected in "750 /etc/livecanary" "750 /etc/livecanary/conf.d" "700 /var/lib/livecanary"; do
    mode=$(stat -c %a "$scratch/root${expected#* }") || fail "tmpfiles: no ${expected#* }"
    [[ $mode == "${expected%% *}" ]] || fail "tmpfiles: ${expected#* } has mode $mode, not ${expected%% *}"
done
echo "check_unit: ok"

#!/bin/sh
# The lock holds names, versions and hashes; where packages come from is the machine's own setting.
! git grep -nIE '(https?://|@|^)[a-z.-]*(py''pi|python''hosted|npm''js|deb''ian)\.(org|com)' -- .

"""What each shell runs at a Tab: it asks ``wherry __complete`` with the words so far, and shows what comes."""

from __future__ import annotations

BASH = r"""# completion for bash; printed by `wherry completion bash`
_wherry() {
    local words=() line=$COMP_LINE word at replies reply cut
    # Bash cuts words at ":" and "=" too: what has no blank before it belongs to the word before.
    for ((at = 0; at <= COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        if ((at > 0)) && [[ $line != [[:space:]]* ]]; then
            words[${#words[@]}-1]+=$word
        else
            line=${line#"${line%%[![:space:]]*}"}
            words+=("$word")
        fi
        line=${line#"$word"}
    done
    word=${words[${#words[@]}-1]}
    cut=${word%"${word##*[:=]}"}
    COMPREPLY=()
    mapfile -t replies < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
    for reply in "${replies[@]}"; do
        reply=${reply%%$'\t'*}
        if [[ $reply == :files ]]; then
            compopt -o bashdefault -o default
        else
            COMPREPLY+=("${reply#"$cut"}")
        fi
    done
    [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *: ]] || compopt -o nospace
}
complete -F _wherry wherry
"""

ZSH = r"""#compdef wherry
# completion for zsh; printed by `wherry completion zsh`
_wherry() {
    local -a replies described
    local reply
    replies=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for reply in $replies; do
        if [[ $reply == :files ]]; then
            _files
        elif [[ $reply == *$'\t'* ]]; then
            described+=("${${reply%%$'\t'*}//:/\\:}:${reply#*$'\t'}")
        else
            described+=("${reply//:/\\:}")
        fi
    done
    (( ! ${#described} )) || _describe -V wherry described
}
if [[ ${funcstack[1]-} == _wherry ]]; then
    _wherry "$@"
else
    compdef _wherry wherry
fi
"""

FISH = r"""# completion for fish; printed by `wherry completion fish`
function __wherry_complete
    set -l words (commandline -opc) (commandline -ct)
    for reply in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
        if test "$reply" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $reply
        end
    end
end
complete -c wherry -f -a '(__wherry_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}

/* Prints each row of the table of outcomes at each of its places as a line of JSON: what is to be played, and what is to be done about it.
 */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "shipper/outcome.h"

#define CONDITION_UNKNOWN "com.example:unheard-of"
#define STATUS_UNKNOWN 410

/* What a service would say so that this row, and none before it, is the one that matches. */
struct word {
    int status;
    const char *condition, *text;
};

static struct word word_of(const struct outcome_row *row, enum outcome_place place)
{
    bool is_reply = place == OUTCOME_CBS || place == OUTCOME_MANAGEMENT;
    struct word word = {.condition = row->condition ? row->condition : CONDITION_UNKNOWN, .text = row->text ? row->text : ""};
    if (is_reply)
        word.status = row->status ? row->status : STATUS_UNKNOWN;
    return word;
}

static bool matches(const struct outcome_row *row, enum outcome_place place, const struct word *word)
{
    return (row->places & OUTCOME_IN(place)) && (!row->status || row->status == word->status) &&
           (!row->condition || !strcmp(row->condition, word->condition)) && (!row->text || strcasestr(word->text, row->text));
}

static size_t row_first(enum outcome_place place, const struct word *word)
{
    size_t i = 0;
    while (i < outcome_table_count && !matches(&outcome_table[i], place, word))
        i++;
    return i;
}

static void row_print(size_t index, enum outcome_place place, const struct word *word)
{
    struct outcome outcome = outcome_of(place, word->status, word->condition, word->text);
    cJSON *line = cJSON_CreateObject();
    cJSON_AddNumberToObject(line, "row", (double)index);
    cJSON_AddStringToObject(line, "place", outcome_place_name(place));
    cJSON_AddNumberToObject(line, "status", word->status);
    cJSON_AddStringToObject(line, "condition", word->condition);
    cJSON_AddStringToObject(line, "text", word->text);
    cJSON_AddStringToObject(line, "action", outcome_action_name(outcome.action));
    cJSON_AddNumberToObject(line, "wait_ms", (double)outcome.wait_ms);
    cJSON_AddBoolToObject(line, "normal", outcome.normal);
    cJSON_AddBoolToObject(line, "maybe_delivered", outcome.maybe_delivered);
    cJSON_AddBoolToObject(line, "has_remedy", outcome.remedy != NULL);
    char *text = cJSON_PrintUnformatted(line);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(line);
}

int main(void)
{
    int bad = 0;
    for (size_t i = 0; i < outcome_table_count; i++)
        for (int place = 0; place < OUTCOME_PLACE_COUNT; place++) {
            if (!(outcome_table[i].places & OUTCOME_IN(place)))
                continue;
            struct word word = word_of(&outcome_table[i], (enum outcome_place)place);
            size_t first = row_first((enum outcome_place)place, &word);
            if (first == i) {
                row_print(i, (enum outcome_place)place, &word);
                continue;
            }
            fprintf(stderr, "row %zu can never match in %s: row %zu does\n", i, outcome_place_name((enum outcome_place)place), first);
            bad = 1;
        }
    return bad;
}
